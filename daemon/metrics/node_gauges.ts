import type { Engine } from "../../a2a/mod.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { VERSION } from "../../core/version.ts";
import type { P2pHost } from "../../p2p/mod.ts";

/** What is looked at when somebody asks. */
export interface NodeGaugesDeps {
  meter: NodeMeter;
  host: Pick<P2pHost, "peers" | "reachability">;
  engine: Pick<Engine, "backlog" | "oldestQueuedAtMs">;
  /** Folder of the store. */
  storePath: string;
  startedAtMs: number;
}

/** How often the lateness of timers is looked at, in milliseconds. */
const LAG_STEP_MS = 500;

/** Lets the state of a node be read as gauges. Disposing it ends the watch over the event loop. */
export function watchNode({ meter, host, engine, storePath, startedAtMs }: NodeGaugesDeps): Disposable {
  const peers = (relayed: boolean) => host.peers().filter((peer) => peer.relayed === relayed).length;
  meter.gauge("connected_peers", () => [[{}, host.peers().length]]);
  meter.gauge(
    "peers_by_path",
    () => [[{ path: "direct" }, peers(false)], [{ path: "relayed" }, peers(true)]],
  );
  meter.gauge("nat_verdict", () => {
    const { nat, mapping } = host.reachability();
    return [[{ verdict: nat, mapping }, 1]];
  });
  meter.gauge("offline_queue_size", () => [[{}, engine.backlog.envelopes]]);
  meter.gauge("offline_queue_bytes", () => [[{}, engine.backlog.bytes]]);
  meter.gauge("offline_queue_oldest_seconds", async () => {
    const oldestMs = await engine.oldestQueuedAtMs();
    return [[{}, oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000)]];
  });
  meter.gauge("open_tasks", () => [[{}, engine.backlog.openTasks]]);
  meter.gauge("store_bytes", async () => [[{}, await sizeOfFolder(storePath)]]);
  meter.gauge("process_resident_memory_bytes", () => [[{}, Deno.memoryUsage().rss]]);
  meter.gauge("process_heap_bytes", () => [[{}, Deno.memoryUsage().heapUsed]]);
  meter.gauge("process_start_time_seconds", () => [[{}, startedAtMs / 1000]]);
  meter.gauge("build_info", () => [[{ version: VERSION }, 1]]);
  return watchLag(meter);
}

/** How late timers are: the longest since somebody looked last. */
function watchLag(meter: NodeMeter): Disposable {
  let dueMs = performance.now() + LAG_STEP_MS;
  let longestMs = 0;
  const look = () => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - dueMs);
    dueMs = nowMs + LAG_STEP_MS;
  };
  const timer = setInterval(look, LAG_STEP_MS);
  Deno.unrefTimer(timer);
  meter.gauge("event_loop_lag_seconds", () => {
    const lagMs = Math.max(longestMs, performance.now() - dueMs, 0);
    longestMs = 0;
    return [[{}, lagMs / 1000]];
  });
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function sizeOfFolder(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    try {
      bytes += (await Deno.stat(`${folder}/${name}`)).size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // a journal comes and goes
    }
  }
  return bytes;
}
