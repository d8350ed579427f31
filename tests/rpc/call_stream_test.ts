import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { createCallService } from "../../rpc/call_service.ts";
import { createRpcService, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { type GrpcServer, startGrpcServer } from "../../rpc/server.ts";
import {
  type CallRequestFrame,
  type CallResponseFrameSchema,
  CallsRequestSchema,
  CallsResponseSchema,
} from "../../gen/agentanycast/v1/call_service_pb.ts";
import { GetTaskResponseSchema, NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createCallClient } from "../../rpc/call_client.ts";
import { CallStream } from "../../rpc/call_stream.ts";
import { ConnectionLostError } from "../../rpc/http2_connection.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";
import type { DuplexEvents } from "../../rpc/rpc_duplex.ts";
import { soakCalls } from "../support/call_soak.ts";

const { getTask, sendTask, subscribeTaskUpdates } = NodeService.method;

type Handlers = Partial<RpcHandlers<typeof NodeService>>;

function startServer(
  handlers: Handlers,
  { listen = "127.0.0.1:0", withCalls = true, drainMs = 0 } = {},
): Promise<GrpcServer> {
  const service = createRpcService(NodeService, handlers);
  const calls = createCallService({ services: [service], logger: silentLogger });
  const services = withCalls ? [service, calls] : [service];
  return startGrpcServer({ services, logger: silentLogger }, { listen, drainMs });
}

/** A stream whose other side is the test. */
function openFake() {
  const sent: CallRequestFrame[][] = [];
  const opened = Promise.withResolvers<DuplexEvents>();
  const state = { room: true, cut: false };
  const stream = new CallStream((events, signal) => {
    signal.addEventListener("abort", () => state.cut = true);
    opened.resolve(events);
    return Promise.resolve({
      send: (bytes) => {
        sent.push(fromBinary(CallsRequestSchema, bytes).frames);
        return state.room;
      },
    });
  });
  const answer = async (...frames: MessageInitShape<typeof CallResponseFrameSchema>[]) =>
    (await opened.promise).message(toBinary(CallsResponseSchema, create(CallsResponseSchema, { frames })));
  return { stream, sent, state, events: opened.promise, answer };
}

/** Lets everything that is ready happen. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const answerOf = (taskId: string) =>
  toBinary(GetTaskResponseSchema, create(GetTaskResponseSchema, { task: { taskId } }));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

Deno.test("createCallClient() answers and fails as plain calls do", async () => {
  await using server = await startServer({
    getTask: ({ taskId }, { metadata }) => {
      if (taskId === "bad") throw new CodedError("failed_precondition", "grün\n100%");
      if (taskId === "broken") throw new Error("secret");
      return { task: { taskId, contextId: metadata.get("traceparent") ?? "" } };
    },
    async *subscribeTaskUpdates({ taskId }) {
      for (let i = 0; i < 30; i++) yield { taskId: `${taskId}${i}` };
      if (taskId === "bad") throw new CodedError("not_found", "gone");
    },
  });
  const outcomes = async (client: RpcClient) =>
    [
      ...await Promise.allSettled([
        client.unary(getTask, { taskId: "a" }, { headers: { traceparent: "00-1" } }),
        client.unary(getTask, { taskId: "b" }, { timeoutMs: 60_000 }),
        client.unary(getTask, { taskId: "bad" }),
        client.unary(getTask, { taskId: "broken" }),
        client.unary(sendTask, {}),
        client.unary(getTask, {}, { signal: AbortSignal.abort() }),
        client.unary(sendTask, { taskId: "x".repeat(30 * 1024 * 1024) }),
        collect(client.stream(subscribeTaskUpdates, { taskId: "a" })),
        collect(client.stream(subscribeTaskUpdates, { taskId: "bad" })),
        collect(client.stream(subscribeTaskUpdates, {}, { signal: AbortSignal.abort() })),
      ]),
    ].map((result) =>
      result.status === "fulfilled" ? result.value : [result.reason.code, result.reason.message]
    );
  using plain = createRpcClient(server.address);
  using calls = createCallClient(server.address);
  const [wanted, actual] = [await outcomes(plain), await outcomes(calls)];
  const tooLarge = 6; // refused here before it is sent, so the text is another one
  assert.equal((actual[tooLarge] as string[])[0], (wanted[tooLarge] as string[])[0]);
  assert.deepEqual(actual.toSpliced(tooLarge, 1), wanted.toSpliced(tooLarge, 1));
});

Deno.test("createCallClient() makes plain calls with a daemon that has no CallService", async () => {
  await using server = await startServer({
    getTask: ({ taskId }) => ({ task: { taskId } }),
    async *subscribeTaskUpdates({ taskId }) {
      yield { taskId };
    },
  }, { withCalls: false });
  using client = createCallClient(server.address);
  const ids = ["a", "b", "c"];
  const answers = await Promise.all([
    ...ids.map(async (taskId) => (await client.unary(getTask, { taskId })).task?.taskId),
    collect(client.stream(subscribeTaskUpdates, { taskId: "d" })).then(([update]) => update?.taskId),
  ]);
  assert.deepEqual(answers, [...ids, "d"]);
  assert.equal((await client.unary(getTask, { taskId: "later" })).task?.taskId, "later");
  await assert.rejects(client.unary(sendTask, {}), { code: "unimplemented" });
});

Deno.test("createCallClient() fails open calls when the daemon goes, and reaches the next one", async () => {
  const open = Promise.withResolvers<void>();
  const handlers: Handlers = {
    getTask: ({ taskId }) => {
      if (taskId !== "slow") return { task: { taskId } };
      open.resolve();
      return new Promise<never>(() => {});
    },
    async *subscribeTaskUpdates(_request, { signal }) {
      yield {};
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  };
  const server = await startServer(handlers);
  using client = createCallClient(server.address);
  const updates = client.stream(subscribeTaskUpdates, {})[Symbol.asyncIterator]();
  await updates.next();
  const lost = Promise.allSettled([client.unary(getTask, { taskId: "slow" }), updates.next()]);
  await open.promise;
  await server[Symbol.asyncDispose]();
  const [call, stream] = await lost;
  assert.ok(call?.status === "rejected" && call.reason instanceof ConnectionLostError);
  assert.ok(stream?.status === "rejected" && stream.reason.code === "cancelled"); // as with a plain call
  await assert.rejects(client.unary(getTask, { taskId: "a" }), ConnectionLostError);
  await using _next = await startServer(handlers, { listen: server.address });
  assert.equal((await client.unary(getTask, { taskId: "a" })).task?.taskId, "a");
});

Deno.test("createCallClient() gets the answer of the call that stops the daemon", async () => {
  let stopped: Promise<void> | undefined;
  const server = await startServer({
    getTask: ({ taskId }) => {
      stopped = Promise.resolve(server[Symbol.asyncDispose]());
      return { task: { taskId } };
    },
  }, { drainMs: 5_000 });
  using client = createCallClient(server.address);
  assert.equal((await client.unary(getTask, { taskId: "last" })).task?.taskId, "last");
  client[Symbol.dispose]();
  await stopped;
});

Deno.test("createCallClient() refuses calls after it is disposed, and fails those that are open", async () => {
  await using server = await startServer({ getTask: () => new Promise<never>(() => {}) });
  const client = createCallClient(server.address);
  const open = client.unary(getTask, {});
  client[Symbol.dispose]();
  await assert.rejects(open, { code: "unavailable" });
  await assert.rejects(client.unary(getTask, {}), { code: "unavailable" });
  await assert.rejects(collect(client.stream(subscribeTaskUpdates, {})), { code: "unavailable" });
});

Deno.test("CallStream carries messages larger than a batch both ways", async () => {
  await using server = await startServer({
    sendTask: ({ message }) => ({ task: { messages: message === undefined ? [] : [message] } }),
  });
  using client = createCallClient(server.address);
  const sizes = [5_000_000, 10, 300_000, 0, 1_000_000];
  const answers = await Promise.all(sizes.map((size, index) => {
    const data = new Uint8Array(size).fill(index + 1);
    return client.unary(sendTask, {
      message: { parts: [{ content: { case: "rawPart", value: { data } } }] },
    });
  }));
  const echoed = answers.map(({ task }) =>
    task?.messages[0]?.parts[0]?.content.value as { data: Uint8Array }
  );
  assert.deepEqual(echoed.map(({ data }) => data.length), sizes);
  assert.deepEqual(echoed.map(({ data }) => data.at(-1)), [1, 2, 3, undefined, 5]);
});

Deno.test("CallStream cancels at the daemon when the signal fires, the deadline passes or the loop is left", async () => {
  const aborted: unknown[] = [];
  const done = Promise.withResolvers<void>();
  const note = ({ taskId }: { taskId: string }, signal: AbortSignal) => {
    signal.addEventListener("abort", () => {
      aborted.push(taskId);
      if (aborted.length === 3) done.resolve();
    }, { once: true });
  };
  await using server = await startServer({
    getTask: (request, { signal }) => {
      note(request, signal);
      return new Promise<never>(() => {});
    },
    async *subscribeTaskUpdates(request, { signal }) {
      note(request, signal);
      while (!signal.aborted) yield {};
    },
  });
  using client = createCallClient(server.address);
  const controller = new AbortController();
  const calls = [
    assert.rejects(client.unary(getTask, { taskId: "signal" }, { signal: controller.signal }), {
      code: "cancelled",
    }),
    assert.rejects(client.unary(getTask, { taskId: "deadline" }, { timeoutMs: 20 }), {
      code: "deadline_exceeded",
    }),
  ];
  for await (const _ of client.stream(subscribeTaskUpdates, { taskId: "loop" })) break;
  controller.abort();
  await Promise.all(calls);
  await done.promise;
  assert.deepEqual(aborted.toSorted(), ["deadline", "loop", "signal"]);
});

Deno.test("CallStream makes the daemon wait for a slow consumer", async () => {
  let made = 0;
  await using server = await startServer({
    async *subscribeTaskUpdates() {
      while (true) yield { taskId: String(made++) };
    },
    getTask: () => ({}),
  });
  using client = createCallClient(server.address);
  let taken = 0;
  for await (const { taskId } of client.stream(subscribeTaskUpdates, {})) {
    assert.equal(taskId, String(taken++));
    for (let i = 0; i < 3; i++) await client.unary(getTask, {}); // the daemon would have had the time
    assert.ok(made <= taken + 8, `${made} were made, ${taken} taken`);
    if (taken === 30) break;
  }
});

Deno.test("CallStream sends what is asked in one turn as one message, within its bounds", async () => {
  const { stream, sent, state, events } = openFake();
  using _stream = stream;
  const calls = [...Array(64).keys()].map((id) => stream.unary(getTask, { taskId: `${id}` }).catch(() => {}));
  await settle();
  assert.deepEqual(sent.map((frames) => frames.length), [64]);
  state.room = false;
  calls.push(...[1, 2, 3].map(() => stream.unary(getTask, { taskId: "x".repeat(200_000) }).catch(() => {})));
  await settle();
  assert.deepEqual(sent.map((frames) => frames.length), [64, 1]);
  (await events).drain();
  assert.deepEqual(sent.map((frames) => frames.length), [64, 1, 1]);
  state.room = true;
  (await events).drain();
  assert.deepEqual(sent.map((frames) => frames.length), [64, 1, 1, 1]);
  stream[Symbol.dispose]();
  await Promise.all(calls);
});

Deno.test("CallStream sends nothing of a call that ends before it could be sent", async () => {
  const { stream, sent, state, events } = openFake();
  using _stream = stream;
  state.room = false;
  const first = stream.unary(getTask, {}).catch(() => {});
  await settle();
  const controller = new AbortController();
  const second = stream.unary(getTask, {}, { signal: controller.signal });
  controller.abort();
  await assert.rejects(second, { code: "cancelled" });
  (await events).drain();
  assert.deepEqual(sent.flat().map(({ callId, cancel }) => [callId, cancel]), [[1, false]]);
  stream[Symbol.dispose]();
  await first;
});

Deno.test("CallStream keeps calls waiting beyond what one stream may have open, streams apart from the others", async () => {
  const { stream, sent, answer } = openFake();
  using _stream = stream;
  const begun = () => sent.flat().filter(({ method }) => method !== "").length;
  const controller = new AbortController();
  const calls = [...Array(1_030).keys()].map((index) =>
    stream.unary(getTask, {}, index === 1_025 ? { signal: controller.signal } : {}).catch((error) =>
      error.code
    )
  );
  await settle();
  assert.equal(begun(), 1_024);
  const updates = stream.stream(subscribeTaskUpdates, {}).next().catch((error) => error.code);
  await settle();
  assert.equal(begun(), 1_025);
  controller.abort();
  await answer({ callId: 1, message: answerOf("a"), end: true }, {
    callId: 2,
    message: answerOf("b"),
    end: true,
  });
  await settle();
  assert.equal(begun(), 1_027);
  assert.ok(
    !sent.flat().some(({ callId, cancel }) => callId === 1_026 || cancel),
    "a call that waits is not cancelled",
  );
  stream[Symbol.dispose]();
  assert.equal(await calls[1_025], "cancelled");
  assert.deepEqual([await calls[1_029], await updates], ["unavailable", "unavailable"]);
});

Deno.test("CallStream delivers the items that came before the end of the stream", async () => {
  const { stream, answer, events } = openFake();
  const items = stream.stream(subscribeTaskUpdates, {});
  const first = items.next();
  await answer({ callId: 1, message: answerOf("") }, { callId: 1, message: answerOf("") });
  (await events).end(undefined);
  assert.equal((await first).done, false);
  assert.equal((await items.next()).done, false);
  await assert.rejects(items.next(), { code: "unavailable" });
});

Deno.test("CallStream passes over answers to calls it does not have, and fails a call whose answer is wrong", async () => {
  const { stream, answer } = openFake();
  using _stream = stream;
  const calls = ["none", "garbled", "good"].map((taskId) => stream.unary(getTask, { taskId }));
  await answer(
    { callId: 99, message: answerOf("x"), end: true },
    { callId: 1, end: true },
    { callId: 2, message: new Uint8Array([0xff]), end: true },
    { callId: 3, message: answerOf("good"), end: true },
  );
  const [none, garbled, good] = await Promise.allSettled(calls);
  assert.ok(none?.status === "rejected" && none.reason.code === "internal");
  assert.ok(garbled?.status === "rejected" && garbled.reason.code === "internal");
  assert.ok(good?.status === "fulfilled" && good.value.task?.taskId === "good");
});

Deno.test("CallStream is unsupported only when the daemon refused it before any answer", async () => {
  for (const heard of [false, true]) {
    const { stream, answer, events } = openFake();
    const call = stream.unary(getTask, {});
    if (heard) await answer({ callId: 99, end: true });
    (await events).end(new CodedError("unimplemented", "no such method"));
    await assert.rejects(call, { code: heard ? "unavailable" : "unimplemented" });
    assert.equal(stream.unsupported, !heard);
    assert.ok(stream.ended);
  }
});

Deno.test("CallStream cuts its stream when it is disposed, and opens none without a call", async () => {
  const { stream, state } = openFake();
  const call = stream.unary(getTask, {});
  await settle();
  stream[Symbol.dispose]();
  await assert.rejects(call, ConnectionLostError);
  assert.ok(state.cut);
  new CallStream(() => assert.fail("opened"))[Symbol.dispose]();
});

Deno.test("CallStream and its service survive cancelled calls and lost connections", async () => {
  const { calls, failures } = await soakCalls(4);
  assert.deepEqual(failures, []);
  assert.ok(calls > 100, `only ${calls} calls were made`);
});
