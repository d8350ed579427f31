import type { EngineObserver } from "../../a2a/mod.ts";
import { silentMeter } from "../../core/meter.ts";
import { NODE_METRICS, type NodeMeter } from "../../core/node_metrics.ts";
import type { Logger } from "../../core/log.ts";
import { parseTraceParent, type Tracer } from "../../core/tracer.ts";
import { loadPrometheus, type Prometheus } from "../../http/mod.ts";
import type { KvStore } from "../../kv/mod.ts";

/** What a daemon counts with, and how that is read; nothing is counted when nobody can read it. */
export interface NodeMetrics {
  readonly meter: NodeMeter;
  readonly prometheus: Prometheus<typeof NODE_METRICS> | undefined;
}

/** Opens the counting of a daemon. */
export async function openNodeMetrics({ enabled }: { enabled: boolean }): Promise<NodeMetrics> {
  if (!enabled) return { meter: silentMeter as NodeMeter, prometheus: undefined };
  const { createPrometheus } = await loadPrometheus();
  const prometheus = createPrometheus(NODE_METRICS, { prefix: "agentanycast_" });
  return { meter: prometheus.meter, prometheus };
}

/** Counts what an engine does, and tells the changes of its tasks as parts of their traces. */
export function toEngineObserver(
  { meter, tracer, logger }: { meter: NodeMeter; tracer: Tracer; logger: Logger },
): EngineObserver {
  return {
    onStatus({ taskId, peerId, direction, status, createdAtMs, updatedAtMs, trace: parent }, from) {
      const trace = parseTraceParent(parent.traceParent)?.traceId;
      logger.debug("Task changed", { task: taskId, peer: peerId, direction, status, from, trace });
      const attributes = { "a2a.task_id": taskId, "a2a.status": status, "a2a.from": from ?? "" };
      tracer.start("a2a.task.transition", { parent, attributes }).end();
      const labels = { direction: direction === "outbound" ? "sent" : "received" };
      meter.count("tasks_total", { ...labels, status });
      const ended = status === "completed" || status === "failed" || status === "canceled" ||
        status === "rejected";
      if (ended && from !== undefined) {
        meter.observe("task_duration_seconds", labels, (updatedAtMs - createdAtMs) / 1000);
      }
    },
    onAnswered({ type }, { outcome }, waitedMs) {
      if (outcome !== "busy") meter.observe("delivery_seconds", { type }, waitedMs / 1000);
    },
    onReceived: (type) => meter.count("messages_total", { type }),
  };
}

/** `kv` with the time of its commits told to `meter`. */
export function measureCommits(kv: KvStore, meter: NodeMeter): KvStore {
  return {
    get: (key) => kv.get(key),
    list: (prefix, options) => kv.list(prefix, options),
    async commit(operations, options) {
      // How long it waits for others to go with says nothing about the store.
      if (options?.unhurried) return await kv.commit(operations, options);
      const startMs = performance.now();
      const revision = await kv.commit(operations);
      meter.observe("store_commit_seconds", {}, (performance.now() - startMs) / 1000);
      return revision;
    },
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
}
