import assert from "node:assert/strict";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import type { Task } from "../../a2a/mod.ts";
import { createLogger, silentLogger } from "../../core/log.ts";
import { silentMeter } from "../../core/meter.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { silentTracer } from "../../core/tracer.ts";
import { toEngineObserver } from "../../daemon/metrics/mod.ts";
import { startHttpServer } from "../../http/mod.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

interface Span {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: { stringValue?: string } }[];
}

/** A collector that keeps what it is sent. */
async function startCollector() {
  const spans: Span[] = [];
  const server = await startHttpServer({
    fetch: async (request) => {
      const { resourceSpans } = await request.json() as {
        resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
      };
      spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
      return Response.json({});
    },
    logger: silentLogger,
  }, { listen: "127.0.0.1:0" });
  return { url: server.url, spans, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

Deno.test("a task is one trace from the call through both daemons and back", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  await using collector = await startCollector();
  let handlerParent = "";
  {
    const flags = { "otlp-endpoint": collector.url };
    await using a = await startTestDaemon({ flags });
    await using b = await startTestDaemon({ flags });
    const { method } = NodeService;
    await a.rpc.unary(method.connectPeer, { peerId: b.daemon.peerId, addresses: b.daemon.addresses() });
    const { task } = await a.rpc.unary(method.sendTask, {
      target: { case: "peerId", value: b.daemon.peerId },
      message: { parts: [{ content: { case: "textPart", value: { text: "Hello" } } }] },
    }, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
    const taskId = task?.taskId ?? "";
    for await (const offered of b.rpc.stream(method.subscribeIncomingTasks, {})) {
      handlerParent = offered.task?.traceParent ?? "";
      break;
    }
    await b.rpc.unary(method.completeTask, { taskId });
    for await (const update of a.rpc.stream(method.subscribeTaskUpdates, { taskId })) {
      if (update.status === 4) break;
    }
  } // what is left is sent when they stop
  const ours = collector.spans.filter((span) => span.traceId === traceId);
  const named = (name: string) => ours.filter((span) => span.name === name);
  const [sent] = named("a2a.send_task");
  assert.equal(sent?.parentSpanId, "b7ad6b7169203331");
  const handled = named("a2a.handle_message");
  const kinds = handled.map(({ attributes }) =>
    attributes.find(({ key }) => key === "a2a.envelope")?.value.stringValue
  );
  assert.ok(kinds.includes("send_task") && kinds.includes("complete"), String(kinds));
  assert.equal(handled[kinds.indexOf("send_task")]?.parentSpanId, sent?.spanId);
  // The agent goes on where its daemon took the task, and the report of the end comes back below that.
  const received = handled[kinds.indexOf("send_task")]?.spanId;
  assert.equal(handlerParent, `00-${traceId}-${received}-01`);
  assert.equal(handled[kinds.indexOf("complete")]?.parentSpanId, received);
  const statuses = named("a2a.task.transition").map(({ attributes }) =>
    attributes.find(({ key }) => key === "a2a.status")?.value.stringValue
  );
  assert.equal(statuses.filter((status) => status === "completed").length, 2);
});

Deno.test("toEngineObserver() logs each change with the ids of task, peer and trace", () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line) });
  const observer = toEngineObserver({ meter: silentMeter as NodeMeter, tracer: silentTracer, logger });
  const trace = { traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", traceState: "" };
  const task = {
    taskId: "t1",
    peerId: "p1",
    direction: "inbound",
    status: "working",
    trace,
  } as unknown as Task;
  observer.onStatus(task, "submitted");
  const { task: id, peer, status, from, trace: traceId } = JSON.parse(lines[0] ?? "");
  assert.deepEqual([id, peer, status, from, traceId], [
    "t1",
    "p1",
    "working",
    "submitted",
    "0af7651916cd43dd8448eb211c80319c",
  ]);
});

Deno.test("a daemon stops in time when its collector does not answer", async () => {
  const net = await startTestDaemon({ flags: { "otlp-endpoint": "http://127.0.0.1:9" } });
  await net.rpc.unary(NodeService.method.getNodeInfo, {});
  await net[Symbol.asyncDispose]();
});
