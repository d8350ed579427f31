import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Channel } from "../../core/channel.ts";
import { CodedError } from "../../core/errors.ts";
import { parseRpcAddress } from "../../core/rpc_address.ts";
import { createLogger, silentLogger } from "../../core/log.ts";
import { type CallServiceOptions, createCallService } from "../../rpc/call_service.ts";
import { createHealthService } from "../../rpc/health.ts";
import { createRpcService, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import {
  type CallRequestFrameSchema,
  type CallResponseFrame,
  type CallsRequest,
  CallsRequestSchema,
  type CallsResponse,
} from "../../gen/agentanycast/v1/call_service_pb.ts";
import {
  GetTaskRequestSchema,
  GetTaskResponseSchema,
  NodeService,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { Http2Connection } from "../../rpc/http2_connection.ts";

const GET = "/agentanycast.v1.NodeService/GetTask";
const SUBSCRIBE = "/agentanycast.v1.NodeService/SubscribeTaskUpdates";
const UPLOAD = "/agentanycast.v1.NodeService/SendStreamingArtifact";
const ask = (taskId: string) => toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, { taskId }));
const truncated = new Uint8Array([0x0a, 5, 0x61]);

type Handlers = Partial<RpcHandlers<typeof NodeService>>;
type Frame = MessageInitShape<typeof CallRequestFrameSchema>;

interface Options extends CallServiceOptions {
  signal?: AbortSignal;
  metadata?: ReadonlyMap<string, string>;
  log?: string[];
}

/** One stream of a CallService whose other side is the test. */
function openCalls(handlers: Handlers, { signal, metadata, log, ...options }: Options = {}) {
  const logger = log === undefined ? silentLogger : createLogger({ write: (line) => void log.push(line) });
  const services = [createRpcService(NodeService, handlers), createHealthService([])];
  const service = createCallService({ services, logger }, options);
  const { definition, handle } = service.methods[0]!;
  const requests = new Channel<unknown>(10_000);
  const context = {
    signal: signal ?? new AbortController().signal,
    metadata: metadata ?? new Map(),
    peer: "unix",
  };
  const responses = (handle(requests, context) as AsyncIterable<CallsResponse>)[Symbol.asyncIterator]();
  return {
    requests,
    responses,
    sendBytes: (bytes: Uint8Array) => requests.push(definition.requestDeserialize(bytes)),
    send: (...frames: Frame[]) =>
      requests.push(create(CallsRequestSchema, { frames }) satisfies CallsRequest),
    /** The frames of the next message, as the client reads them. */
    next: async (): Promise<CallResponseFrame[]> => {
      const { done, value } = await responses.next();
      if (done) return [];
      return (definition.responseDeserialize(definition.responseSerialize(value)) as CallsResponse).frames;
    },
  };
}

/** Lets everything that is ready happen. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const taskIn = ({ message }: CallResponseFrame) =>
  message === undefined ? undefined : fromBinary(GetTaskResponseSchema, message).task?.taskId;

const echo: Handlers = { getTask: ({ taskId }) => ({ task: { taskId } }) };

Deno.test("createCallService() starts unary calls in order and answers those that are ready together", async () => {
  const started: string[] = [];
  const slow = Promise.withResolvers<void>();
  const { send, next } = openCalls({
    getTask: async ({ taskId }) => {
      started.push(taskId);
      if (taskId === "slow") await slow.promise;
      return { task: { taskId } };
    },
  });
  const ids = ["slow", "a", "b", "c"];
  send(...ids.map((taskId, index) => ({ callId: index + 1, method: GET, message: ask(taskId) })));
  const frames = await next();
  assert.deepEqual(started, ids);
  assert.deepEqual(frames.map(taskIn), ["a", "b", "c"]);
  assert.deepEqual(frames.map(({ callId, end, status }) => [callId, end, status]), [
    [2, true, 0],
    [3, true, 0],
    [4, true, 0],
  ]);
  slow.resolve();
  assert.deepEqual((await next()).map(taskIn), ["slow"]);
});

Deno.test("createCallService() reads no further while unary calls hold as many bytes as they may, but begins a lone one", async () => {
  const started: string[] = [];
  const gates = new Map<string, () => void>();
  const { send, next } = openCalls({
    getTask: async ({ taskId }) => {
      started.push(taskId.slice(0, 1));
      await new Promise<void>((resolve) => gates.set(taskId.slice(0, 1), resolve));
      return { task: { taskId } };
    },
  }, { maxUnaryBytes: 1_000 });
  const sizes = { a: 600, b: 600, c: 300, d: 5_000, e: 1 };
  for (const [index, [name, size]] of Object.entries(sizes).entries()) {
    send({ callId: index + 1, method: GET, message: ask(name.repeat(size)) });
  }
  await settle();
  assert.deepEqual(started, ["a"]);
  const steps = [["a", "abc"], ["b", "abc"], ["c", "abcd"], ["d", "abcde"]] as const;
  for (const [answered, begun] of steps) {
    gates.get(answered)?.();
    await next();
    await settle();
    assert.equal(started.join(""), begun);
  }
  gates.get("e")?.();
  assert.equal((await next()).length, 1);
});

Deno.test("createCallService() takes an id again after its call has ended", async () => {
  const { send, next } = openCalls(echo);
  for (const taskId of ["a", "b"]) {
    send({ callId: 7, method: GET, message: ask(taskId) });
    assert.deepEqual((await next()).map(taskIn), [taskId]);
  }
});

Deno.test("createCallService() asks a stream for as many items as the client takes", async () => {
  let asked = 0;
  const { send, next } = openCalls({
    async *subscribeTaskUpdates() {
      while (true) yield { taskId: String(asked++) };
    },
  });
  send({ callId: 1, method: SUBSCRIBE, credit: 2 });
  const take = async (count: number) => {
    let frames: CallResponseFrame[] = [];
    while (frames.length < count) frames = [...frames, ...await next()];
    await settle();
    assert.equal(frames.length, count);
  };
  await take(2);
  assert.equal(asked, 2);
  send({ callId: 1, credit: 3 });
  await take(3);
  assert.equal(asked, 5);
});

Deno.test("createCallService() ends a stream after its items, and with its error", async () => {
  const { send, next } = openCalls({
    async *subscribeTaskUpdates({ taskId }) {
      yield { taskId };
      if (taskId === "bad") throw new CodedError("not_found", "No such task");
    },
  });
  const request = ask("bad"); // the first field is the task id in both
  send({ callId: 1, method: SUBSCRIBE, credit: 5 }, {
    callId: 2,
    method: SUBSCRIBE,
    message: request,
    credit: 5,
  });
  const frames: CallResponseFrame[] = [];
  while (frames.filter(({ end }) => end).length < 2) frames.push(...await next());
  const ofCall = (id: number) => frames.filter(({ callId }) => callId === id);
  assert.deepEqual(ofCall(1).map(({ end, status, error }) => [end, status, error]), [[false, 0, ""], [
    true,
    0,
    "",
  ]]);
  assert.deepEqual(ofCall(2).map(({ end, status, error }) => [end, status, error]), [
    [false, 0, ""],
    [true, 5, "No such task"],
  ]);
});

Deno.test("createCallService() fails the call that cannot be made and goes on with the others", async () => {
  const { send, next } = openCalls(echo, { metadata: new Map() });
  const frames: [Frame, number][] = [
    [{ method: "/agentanycast.v1.NodeService/Nothing" }, 12],
    [{ method: UPLOAD }, 12],
    [{ method: "/agentanycast.v1.NodeService/CancelTask" }, 12],
    [{ method: GET, message: truncated }, 3],
    [{ method: "/grpc.health.v1.Health/Check", message: truncated }, 13],
    [{ method: GET, metadata: { big: "x".repeat(20_000) } }, 8],
    [{ method: SUBSCRIBE, credit: 1, message: truncated }, 3],
  ];
  for (const [frame, status] of frames) {
    send({ callId: 1, ...frame });
    const [answer] = await next();
    assert.deepEqual(
      [answer?.callId, answer?.end, answer?.status],
      [1, true, status],
      JSON.stringify(frame.method),
    );
    assert.notEqual(answer?.error, "");
  }
  send({ callId: 1, method: GET, message: ask("a") });
  assert.deepEqual((await next()).map(taskIn), ["a"]);
});

Deno.test("createCallService() ends the call whose id comes twice", async () => {
  const signals: AbortSignal[] = [];
  const { send, next } = openCalls({
    getTask: (_request, { signal }) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    },
  });
  send({ callId: 1, method: GET }, { callId: 1, method: GET });
  assert.deepEqual((await next()).map(({ callId, status }) => [callId, status]), [[1, 3]]);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true]);
});

Deno.test("createCallService() refuses calls beyond the limit, counting cancelled ones that are still at work", async () => {
  const free = Promise.withResolvers<void>();
  const { send, next } = openCalls({
    getTask: async () => {
      await free.promise;
      return {};
    },
  }, { maxCalls: 2 });
  send({ callId: 1, method: GET }, { callId: 2, method: GET }, { callId: 2, cancel: true }, {
    callId: 3,
    method: GET,
  });
  assert.deepEqual((await next()).map(({ callId, status }) => [callId, status]), [[3, 8]]);
  free.resolve();
  assert.deepEqual((await next()).map(({ callId, status }) => [callId, status]), [[1, 0]]);
  send({ callId: 3, method: GET });
  assert.deepEqual((await next()).map(({ callId, status }) => [callId, status]), [[3, 0]]);
});

Deno.test("createCallService() tells the handler when its call is cancelled, and answers nothing", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const { send, next } = openCalls({
    getTask: ({ taskId }, { signal }) => {
      if (taskId === "a") return { task: { taskId } };
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    },
  });
  send({ callId: 1, method: GET, message: ask("slow") });
  send({ callId: 1, cancel: true }, { callId: 1, credit: 1 }, { callId: 1, cancel: true });
  assert.equal((await aborted.promise as CodedError).code, "cancelled");
  send({ callId: 2, method: GET, message: ask("a") });
  assert.deepEqual((await next()).map(({ callId }) => callId), [2]);
});

Deno.test("createCallService() returns from the iterator of a cancelled stream", async () => {
  const returned = Promise.withResolvers<string>();
  const { send, next } = openCalls({
    async *subscribeTaskUpdates({ taskId }) {
      try {
        while (true) yield { taskId };
      } finally {
        returned.resolve(taskId);
      }
    },
  });
  send({ callId: 1, method: SUBSCRIBE, message: ask("t"), credit: 1 });
  await next();
  send({ callId: 1, cancel: true });
  assert.equal(await returned.promise, "t");
});

Deno.test("createCallService() aborts all its calls however the stream ends", async () => {
  type Open = ReturnType<typeof openCalls>;
  const ends: [string, (open: Open) => unknown][] = [
    ["the client ended its side", ({ requests }) => requests.close()],
    ["the requests broke", ({ requests }) => requests.close(new Error("reset"))],
    ["the transport gave up", ({ responses }) => responses.return?.()],
    ["a malformed frame", ({ send }) => send({ callId: 0 })],
  ];
  for (const [name, end] of ends) {
    const signals: AbortSignal[] = [];
    const open = openCalls({
      getTask: (_request, { signal }) => {
        signals.push(signal);
        return new Promise<never>(() => {});
      },
      async *subscribeTaskUpdates(_request, { signal }) {
        signals.push(signal);
        yield {};
      },
    });
    open.send({ callId: 1, method: GET }, { callId: 2, method: SUBSCRIBE, credit: 1 }, {
      callId: 3,
      method: GET,
    });
    await open.next();
    end(open);
    await settle();
    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true, true], name);
    await open.responses.next().catch(() => {}); // how it ends is the subject of another test
  }
});

Deno.test("createCallService() answers the unary calls at work, and nothing new, when the server stops", async () => {
  const controller = new AbortController();
  const free = Promise.withResolvers<void>();
  const { send, next } = openCalls({
    getTask: async ({ taskId }) => {
      await free.promise;
      return { task: { taskId } };
    },
    async *subscribeTaskUpdates(_request, { signal }) {
      yield {};
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  }, { signal: controller.signal });
  send({ callId: 1, method: GET, message: ask("a") }, { callId: 2, method: SUBSCRIBE, credit: 2 });
  await next();
  controller.abort(new CodedError("cancelled", "The server is stopping"));
  send({ callId: 3, method: GET, message: ask("late") });
  assert.deepEqual((await next()).map(({ callId, end, status }) => [callId, end, status]), [[2, true, 1]]);
  free.resolve();
  assert.deepEqual((await next()).map(taskIn), ["a"]);
  await assert.rejects(next(), { code: "cancelled", message: "The server is stopping" });
});

Deno.test("createCallService() ends at once when the server stops and no call is at work", async () => {
  const controller = new AbortController();
  const { next } = openCalls(echo, { signal: controller.signal });
  const end = assert.rejects(next(), { code: "cancelled" });
  controller.abort(new CodedError("cancelled", "The server is stopping"));
  await end;
});

Deno.test("createCallService() ends the stream with invalid_argument after a malformed frame", async () => {
  const malformed: [string, (open: ReturnType<typeof openCalls>) => unknown][] = [
    ["no bytes of a message", ({ sendBytes }) => sendBytes(new Uint8Array([0x0a, 2, 0xff]))],
    [
      "too many frames",
      ({ sendBytes }) => sendBytes(new Uint8Array(20_000).map((_, at) => at % 2 ? 0 : 0x0a)),
    ],
    [
      "too many frames before what cannot be read",
      ({ sendBytes }) => sendBytes(new Uint8Array(20_001).map((_, at) => at % 2 ? 0 : 0x0a)),
    ],
    ["no call id", ({ send }) => send({ method: GET })],
    ["a second request", ({ send }) => send({ callId: 1, message: ask("a") })],
    ["late headers", ({ send }) => send({ callId: 1, metadata: { a: "b" } })],
  ];
  for (const [name, sendIt] of malformed) {
    const open = openCalls(echo);
    open.send({ callId: 5, method: GET, message: ask("a") });
    sendIt(open);
    assert.deepEqual((await open.next()).map(taskIn), ["a"], name); // what was answered before still arrives
    await assert.rejects(open.next(), { code: "invalid_argument" }, name);
  }
});

Deno.test("createCallService() takes many frames in one message", async () => {
  const { requests, send, next } = openCalls(echo);
  const count = 4_000;
  send(
    ...Array.from({ length: count }, (_, index) => ({ callId: index + 1, method: GET, message: ask("a") })),
  );
  let answered = 0;
  while (answered < count) answered += (await next()).filter(({ status }) => status === 0).length;
  assert.equal(answered, count);
  requests.close();
});

Deno.test("createCallService() ends well when the client ends its side", async () => {
  const { requests, responses } = openCalls(echo);
  requests.close();
  assert.deepEqual(await responses.next(), { done: true, value: undefined });
});

Deno.test("createCallService() hides what it does not know and logs it", async () => {
  const log: string[] = [];
  const { send, next } = openCalls({ getTask: () => Promise.reject(new Error("secret")) }, { log });
  send({ callId: 1, method: GET });
  const [answer] = await next();
  assert.equal(answer?.status, 13);
  assert.doesNotMatch(answer?.error ?? "", /secret/);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? "", /secret/);
});

Deno.test("createCallService() gives handlers the headers of the call over those of the stream", async () => {
  const seen: Record<string, string>[] = [];
  const { send, next } = openCalls({
    getTask: (_request, { metadata, peer }) => {
      seen.push({ ...Object.fromEntries(metadata), peer });
      return {};
    },
  }, { metadata: new Map([["a", "stream"], ["b", "stream"]]) });
  send({ callId: 1, method: GET, metadata: { B: "call" } });
  await next();
  send({ callId: 2, method: GET });
  await next();
  assert.deepEqual(seen, [{ a: "stream", b: "call", peer: "unix" }, {
    a: "stream",
    b: "stream",
    peer: "unix",
  }]);
});

Deno.test("createCallService() neither reads nor asks on while nobody takes its answers", async () => {
  let asked = 0;
  let answered = 0;
  const taskId = "x".repeat(10_000);
  const { send, next, requests } = openCalls({
    async *subscribeTaskUpdates() {
      while (true) {
        asked++;
        yield { taskId };
      }
    },
    getTask: () => {
      answered++;
      return { task: { taskId } };
    },
  });
  send({ callId: 1, method: SUBSCRIBE, credit: 1_000_000 });
  for (let id = 2; id < 1_000; id++) send({ callId: id, method: GET });
  for (let turn = 0; turn < 50; turn++) await settle();
  const held = asked + answered;
  assert.ok(held * 10_000 < 600_000, `${held} answers are held`);
  while (answered < 998) {
    const size = (await next()).reduce((bytes, { message }) => bytes + (message?.length ?? 0), 0);
    assert.ok(size <= 256 * 1024, `${size} bytes travel together`);
  }
  requests.close();
});

Deno.test("startGrpcServer() answers a bidirectional stream whose client has ended its side", async () => {
  const service = createCallService({
    services: [createRpcService(NodeService, echo)],
    logger: silentLogger,
  });
  await using server = await startGrpcServer(
    { services: [service], logger: silentLogger },
    { listen: "127.0.0.1:0", drainMs: 0 },
  );
  const connection = new Http2Connection(parseRpcAddress(server.address));
  const stream = await connection.request({
    ":method": "POST",
    ":path": "/agentanycast.v1.CallService/Calls",
    "te": "trailers",
    "content-type": "application/grpc",
  }, new AbortController().signal);
  const status = new Promise((resolve) => {
    stream.once("trailers", (headers) => resolve(headers["grpc-status"]));
    stream.once("close", () => resolve("none"));
  });
  stream.resume().end();
  assert.equal(
    await Promise.race([status, new Promise((resolve) => stream.setTimeout(5_000, () => resolve("none")))]),
    "0",
  );
  connection.close();
});
