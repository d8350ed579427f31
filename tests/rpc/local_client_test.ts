import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { CodedError } from "../../core/errors.ts";
import { createLogger } from "../../core/log.ts";
import {
  NodeService,
  type SendStreamingArtifactRequest,
  type SendTaskRequest,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createLocalClient } from "../../rpc/local_client.ts";
import type { RpcClient } from "../../rpc/rpc_client.ts";
import { createRpcService, type RpcContext, type RpcHandlers } from "../../rpc/rpc_service.ts";

const { getNodeInfo, sendTask, subscribeTaskUpdates, sendStreamingArtifact } = NodeService.method;

function clientOf(handlers: Partial<RpcHandlers<typeof NodeService>>, log: string[] = []): RpcClient {
  const services = [createRpcService(NodeService, handlers)];
  return createLocalClient({ services, logger: createLogger({ write: (line) => log.push(line) }) });
}

/** Resolves when the signal of the call fires. */
const untilLeft = ({ signal }: RpcContext) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

Deno.test("createLocalClient() calls handlers with their request, their headers and who calls", async () => {
  const seen: unknown[] = [];
  using client = clientOf({
    sendTask: ({ taskId }, { metadata, peer }) => {
      seen.push(taskId, metadata.get("traceparent"), peer);
      return { task: { taskId } };
    },
  });
  const { task } = await client.unary(sendTask, { taskId: "1" }, { headers: { traceparent: "t" } });
  assert.deepEqual([task?.taskId, task?.contextId, ...seen], ["1", "", "1", "t", "local"]);
});

Deno.test("createLocalClient() shares no object between caller and handler", async () => {
  let taken: SendTaskRequest | undefined;
  const kept = { task: { taskId: "1", metadata: { a: "1" } } };
  using client = clientOf({
    sendTask: (request) => {
      taken = request;
      return kept;
    },
  });
  const data = Buffer.of(1);
  const metadata = { a: "1" };
  const message = { parts: [{ content: { case: "rawPart" as const, value: { data } } }] };
  const { task } = await client.unary(sendTask, { message, metadata });
  data.fill(9);
  metadata.a = "9";
  if (task !== undefined) task.metadata.a = "9";
  const content = taken?.message?.parts[0]?.content;
  assert.deepEqual(content?.case === "rawPart" && [...content.value.data], [1]);
  assert.deepEqual([taken?.metadata, kept.task.metadata], [{ a: "1" }, { a: "1" }]);
});

Deno.test("createLocalClient() throws coded errors as they are, and hides others after logging them", async () => {
  const log: string[] = [];
  using client = clientOf({
    getNodeInfo: () => {
      throw new CodedError("not_found", "Nobody here");
    },
    sendTask: () => {
      throw new Error("secret");
    },
    subscribeTaskUpdates: async function* () {
      yield await Promise.resolve({ taskId: "1" });
      throw new CodedError("out_of_range", "Too old");
    },
  }, log);
  await assert.rejects(client.unary(getNodeInfo, {}), { code: "not_found", message: "Nobody here" });
  assert.equal(log.length, 0);
  await assert.rejects(client.unary(sendTask, {}), { code: "internal", message: /^(?!.*secret)/ });
  assert.match(log.join(), /secret/);
  await assert.rejects(Array.fromAsync(client.stream(subscribeTaskUpdates, {})), { code: "out_of_range" });
  await assert.rejects(client.unary(NodeService.method.getTask, {}), { code: "unimplemented" });
});

Deno.test("createLocalClient() ends calls by their signal, their time and its own end, and tells the handler", async () => {
  const left: string[] = [];
  const hang = async ({ taskId }: { taskId: string }, context: RpcContext) => {
    await untilLeft(context);
    left.push(`${taskId}: ${(context.signal.reason as CodedError).code}`);
    return {};
  };
  const client = clientOf({
    sendTask: hang,
    subscribeTaskUpdates: async function* (request, context) {
      try {
        yield { taskId: "first" };
        await hang(request, context);
      } finally {
        left.push(`${request.taskId} is over`);
      }
    },
  });
  const controller = new AbortController();
  const cancelled = client.unary(sendTask, { taskId: "signal" }, { signal: controller.signal });
  controller.abort();
  await assert.rejects(cancelled, { code: "cancelled" });
  const aborted = { signal: AbortSignal.abort() };
  await assert.rejects(client.unary(sendTask, { taskId: "never" }, aborted), { code: "cancelled" });
  await assert.rejects(client.unary(sendTask, { taskId: "time" }, { timeoutMs: 1 }), {
    code: "deadline_exceeded",
  });
  for await (const _ of client.stream(subscribeTaskUpdates, { taskId: "left" })) break;
  const ending = [
    assert.rejects(client.unary(sendTask, { taskId: "end" }), { code: "failed_precondition" }),
    assert.rejects(Array.fromAsync(client.stream(subscribeTaskUpdates, { taskId: "streams end" })), {
      code: "failed_precondition",
    }),
  ];
  client[Symbol.dispose]();
  await Promise.all(ending);
  await assert.rejects(client.unary(sendTask, { taskId: "late" }), { code: "failed_precondition" });
  assert.deepEqual(left.toSorted(), [
    "end: failed_precondition",
    "left is over",
    "signal: cancelled",
    "streams end is over",
    "time: deadline_exceeded",
  ]);
});

Deno.test("createLocalClient() asks for the next item of a stream when it is wanted", async () => {
  let made = 0;
  using client = clientOf({
    subscribeTaskUpdates: async function* () {
      while (true) yield await Promise.resolve({ taskId: `${++made}` });
    },
  });
  for await (const { taskId } of client.stream(subscribeTaskUpdates, {})) {
    assert.equal(taskId, `${made}`);
    if (made === 3) break;
  }
  assert.equal(made, 3);
});

Deno.test("createLocalClient() uploads until the source or the handler ends, and tells who broke off", async () => {
  const events: string[] = [];
  const kindOf = ({ event }: SendStreamingArtifactRequest) => event.case ?? "none";
  let most = Infinity;
  using client = clientOf({
    sendStreamingArtifact: async (requests) => {
      for await (const request of requests) {
        events.push(kindOf(request));
        if (events.length === most) return {};
      }
      return {};
    },
  });
  const source = async function* (count: number, error?: Error) {
    try {
      for (let i = 0; i < count; i++) {
        yield await Promise.resolve({ event: { case: "streamChunk" as const, value: { sequence: i } } });
      }
      if (error !== undefined) throw error;
      events.push("whole");
    } finally {
      events.push("left");
    }
  };
  await client.upload(sendStreamingArtifact, source(2));
  assert.deepEqual(events.splice(0), ["streamChunk", "streamChunk", "whole", "left"]);
  await assert.rejects(client.upload(sendStreamingArtifact, source(1, new Error("disk gone"))), {
    message: "disk gone",
  });
  assert.deepEqual(events.splice(0), ["streamChunk", "left"]);
  most = 1;
  await client.upload(sendStreamingArtifact, source(3));
  assert.deepEqual(events, ["streamChunk", "left"]);
});
