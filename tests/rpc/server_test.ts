import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import * as grpc from "@grpc/grpc-js";
import { CodedError, ERROR_CODES } from "../../core/errors.ts";
import { createLogger, silentLogger } from "../../core/log.ts";
import { GRPC_STATUS } from "../../core/rpc.ts";
import { toRpcMethodDefinition } from "../../rpc/method_definition.ts";
import { createRpcService, type RpcContext, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from "../../rpc/server.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";

type Handlers = Partial<RpcHandlers<typeof NodeService>>;
const { getNodeInfo, getTask, listPeers, sendTask, sendStreamingArtifact, subscribeTaskUpdates } =
  NodeService.method;

interface Setup extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly client: RpcClient;
}

async function setUp(handlers: Handlers, options: Partial<GrpcServerOptions> = {}): Promise<Setup> {
  const server = await startGrpcServer(
    { services: [createRpcService(NodeService, handlers)], logger: silentLogger },
    { listen: "tcp://127.0.0.1:0", ...options },
  );
  const client = createRpcClient(server.address);
  return {
    server,
    client,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function makeFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "grpc" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "ok", (error) => error instanceof CodedError ? error.code : String(error));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

Deno.test("startGrpcServer() answers a unary call", async () => {
  await using net = await setUp({
    getTask: ({ taskId }) => ({ task: { taskId, status: TaskStatus.WORKING } }),
  });
  const { task } = await net.client.unary(getTask, { taskId: "t1" });
  assert.equal(task?.taskId, "t1");
  assert.equal(task?.status, TaskStatus.WORKING);
});

Deno.test("startGrpcServer() hands text metadata and the peer to the handler", async () => {
  let seen: RpcContext | undefined;
  await using net = await setUp({
    getNodeInfo: (_request, context) => {
      seen = context;
      return {};
    },
  });
  const { address } = net.server;
  await rawUnary(address, {
    path: "/agentanycast.v1.NodeService/GetNodeInfo",
    headers: { "x-trace": "abc" },
  });
  assert.equal(seen?.metadata.get("x-trace"), "abc");
  assert.match(seen?.peer ?? "", /^127\.0\.0\.1:\d+$/);
  assert.equal(seen?.signal.aborted, false);
});

Deno.test("startGrpcServer() refuses a call when its metadata is too large", async () => {
  await using net = await setUp({ getNodeInfo: () => ({}) });
  const headers = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`x-${i}`, "v".repeat(4_000)]));
  const path = "/agentanycast.v1.NodeService/GetNodeInfo";
  await assert.rejects(rawUnary(net.server.address, { path, headers }), {
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
});

Deno.test("startGrpcServer() answers unimplemented when a method has no handler", async () => {
  await using net = await setUp({});
  assert.equal(await codeOf(net.client.unary(listPeers, {})), "unimplemented");
});

Deno.test("startGrpcServer() answers each code and message of a CodedError", async () => {
  await using net = await setUp({
    getTask: ({ taskId }) => {
      throw new CodedError(taskId as CodedError["code"], `no: ${taskId}`);
    },
  });
  for (const code of ERROR_CODES) {
    await assert.rejects(net.client.unary(getTask, { taskId: code }), { code, message: `no: ${code}` });
  }
});

Deno.test("startGrpcServer() hides an unknown error and logs it once", async () => {
  const lines: string[] = [];
  const logger = createLogger({ write: (line) => lines.push(line) });
  const service = createRpcService(NodeService, {
    getTask: () => Promise.reject(new Error("secret state")),
  });
  await using server = await startGrpcServer({ services: [service], logger }, { listen: "127.0.0.1:0" });
  const client = createRpcClient(server.address);
  const error = await client.unary(getTask, {}).catch((error) => error);
  client[Symbol.dispose]();
  assert.equal(error.code, "internal");
  assert.doesNotMatch(error.message, /secret/);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /secret state/);
});

Deno.test("startGrpcServer() survives an error text that no header can carry", async () => {
  await using net = await setUp({
    getTask: () => {
      throw new CodedError("not_found", "\ud800 half\n" + "x".repeat(100_000));
    },
    async *subscribeTaskUpdates() {
      yield { taskId: "1" };
      throw new CodedError("not_found", "\udfff half");
    },
  });
  assert.equal(await codeOf(net.client.unary(getTask, {})), "not_found");
  assert.equal(await codeOf(collect(net.client.stream(subscribeTaskUpdates, {}))), "not_found");
});

Deno.test("startGrpcServer() streams what the handler yields, in order", async () => {
  await using net = await setUp({
    async *subscribeTaskUpdates() {
      for (let i = 0; i < 500; i++) yield { taskId: String(i) };
    },
  });
  const items = await collect(net.client.stream(subscribeTaskUpdates, {}));
  assert.deepEqual(items.map((item) => item.taskId), Array.from({ length: 500 }, (_, i) => String(i)));
});

Deno.test("startGrpcServer() ends a stream with the error its handler throws", async () => {
  await using net = await setUp({
    async *subscribeTaskUpdates() {
      yield { taskId: "1" };
      throw new CodedError("resource_exhausted", "fell behind");
    },
  });
  const items: string[] = [];
  const reading = (async () => {
    for await (const item of net.client.stream(subscribeTaskUpdates, {})) items.push(item.taskId);
  })();
  await assert.rejects(reading, { code: "resource_exhausted", message: "fell behind" });
  assert.deepEqual(items, ["1"]);
});

Deno.test("startGrpcServer() reads a client stream", async () => {
  const seen: number[] = [];
  await using net = await setUp({
    sendStreamingArtifact: async (requests) => {
      for await (const { event } of requests) {
        if (event.case === "streamChunk") seen.push(event.value.sequence);
      }
      return {};
    },
  });
  const raw = rawClient(net.server.address);
  const method = toRpcMethodDefinition(sendStreamingArtifact);
  await new Promise<void>((resolve, reject) => {
    const call = raw.makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      (error) => error ? reject(error) : resolve(),
    );
    for (let sequence = 0; sequence < 3; sequence++) {
      call.write(
        create(sendStreamingArtifact.input, { event: { case: "streamChunk", value: { sequence } } }),
      );
    }
    call.end();
  });
  raw.close();
  assert.deepEqual(seen, [0, 1, 2]);
});

Deno.test("startGrpcServer() returns the iterator when the caller cancels a stream", async () => {
  const left = Promise.withResolvers<void>();
  await using net = await setUp({
    async *subscribeTaskUpdates(_request, { signal }) {
      try {
        yield { taskId: "1" };
        await untilAborted(signal);
        yield { taskId: "2" };
      } finally {
        left.resolve();
      }
    },
  });
  for await (const _ of net.client.stream(subscribeTaskUpdates, {})) break;
  await left.promise;
});

Deno.test("startGrpcServer() returns the iterator when the caller's connection is gone", async () => {
  const left = Promise.withResolvers<void>();
  await using net = await setUp({
    async *subscribeTaskUpdates(_request, { signal }) {
      try {
        yield { taskId: "1" };
        await untilAborted(signal);
      } finally {
        left.resolve();
      }
    },
  });
  const other = createRpcClient(net.server.address);
  const items = other.stream(subscribeTaskUpdates, {})[Symbol.asyncIterator]();
  await items.next();
  other[Symbol.dispose]();
  await items.return?.();
  await left.promise;
});

Deno.test("startGrpcServer() stops asking the handler when the caller does not read", async () => {
  let asked = 0;
  const payload = {
    role: 1,
    parts: [{ content: { case: "textPart" as const, value: { text: "x".repeat(100_000) } } }],
  };
  await using net = await setUp({
    async *subscribeTaskUpdates() {
      for (; asked < 2_000; asked++) yield { message: payload };
    },
  });
  const items = net.client.stream(subscribeTaskUpdates, {})[Symbol.asyncIterator]();
  await items.next();
  // A second call on the same connection round trips many times while the first is not read.
  for (let i = 0; i < 200; i++) await codeOf(net.client.unary(getNodeInfo, {}));
  assert.ok(asked < 500, `${asked} of 2000 items were taken from the handler`);
  await items.return?.();
});

Deno.test("startGrpcServer() fires the signal of a unary call when the caller cancels", async () => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  await using net = await setUp({
    getTask: async (_request, { signal }) => {
      started.resolve();
      await untilAborted(signal);
      aborted.resolve(signal.reason);
      return {};
    },
  });
  const controller = new AbortController();
  const call = codeOf(net.client.unary(getTask, {}, { signal: controller.signal }));
  await started.promise;
  controller.abort();
  assert.equal(await call, "cancelled");
  assert.equal((await aborted.promise as CodedError).code, "cancelled");
});

Deno.test("startGrpcServer() fires the signal when the deadline passes", async () => {
  let started = false;
  const aborted = Promise.withResolvers<void>();
  await using net = await setUp({
    getTask: async (_request, { signal }) => {
      started = true;
      await untilAborted(signal);
      aborted.resolve();
      return {};
    },
  });
  // On a busy machine a short deadline is over before the call has arrived.
  for (let timeoutMs = 50; !started; timeoutMs *= 2) {
    assert.equal(await codeOf(net.client.unary(getTask, {}, { timeoutMs })), "deadline_exceeded");
  }
  await aborted.promise;
});

Deno.test("startGrpcServer() carries 16 MiB both ways and refuses more than its limit", async () => {
  await using net = await setUp({
    sendTask: ({ message }) => ({ task: { messages: message === undefined ? [] : [message] } }),
  });
  const send = (bytes: number) =>
    net.client.unary(sendTask, {
      message: { parts: [{ content: { case: "rawPart", value: { data: new Uint8Array(bytes).fill(7) } } }] },
    });
  const { task } = await send(16 * 1024 * 1024);
  const content = task?.messages[0]?.parts[0]?.content;
  assert.equal(content?.case === "rawPart" && content.value.data.length, 16 * 1024 * 1024);
  assert.equal(await codeOf(send(25 * 1024 * 1024)), "resource_exhausted");
  assert.equal((await send(1)).task?.messages.length, 1);
});

Deno.test("startGrpcServer() reports health of the server and of each service", async () => {
  await using net = await setUp({});
  assert.equal(await healthCheck(net.server.address, ""), 1);
  assert.equal(await healthCheck(net.server.address, "agentanycast.v1.NodeService"), 1);
  await assert.rejects(healthCheck(net.server.address, "other"), { code: grpc.status.NOT_FOUND });
});

Deno.test("startGrpcServer() ends a health watch with CANCELLED when it stops", async () => {
  const net = await setUp({});
  const raw = rawClient(net.server.address);
  const call = raw.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    identity,
    identity,
    healthRequest("other"),
  );
  const iterator = call[Symbol.asyncIterator]();
  assert.equal(statusIn((await iterator.next()).value), 3);
  const end = iterator.next().catch((error) => error.code);
  await net[Symbol.asyncDispose]();
  assert.equal(await end, grpc.status.CANCELLED);
  raw.close();
});

Deno.test("startGrpcServer() ends open streams with CANCELLED when disposed", async () => {
  const net = await setUp({
    async *subscribeTaskUpdates(_request, { signal }) {
      yield { taskId: "1" };
      await untilAborted(signal);
    },
  });
  const readers = Array.from(
    { length: 10 },
    () => net.client.stream(subscribeTaskUpdates, {})[Symbol.asyncIterator](),
  );
  await Promise.all(readers.map((reader) => reader.next()));
  const ends = readers.map((reader) => reader.next().catch((error) => error.code));
  await net.server[Symbol.asyncDispose]();
  assert.deepEqual(await Promise.all(ends), Array(10).fill("cancelled"));
  await net[Symbol.asyncDispose]();
});

Deno.test("startGrpcServer() lets a running call finish when disposed", async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const net = await setUp({
    getTask: async () => {
      started.resolve();
      await finish.promise;
      return { task: { taskId: "done" } };
    },
  }, { drainMs: 60_000 });
  const call = net.client.unary(getTask, {});
  await started.promise;
  const stopped = net.server[Symbol.asyncDispose]();
  finish.resolve();
  assert.equal((await call).task?.taskId, "done");
  await stopped;
  await net[Symbol.asyncDispose]();
});

Deno.test("startGrpcServer() gives up on a handler that ignores the stop after the drain time", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const net = await setUp({
    getTask: (_request, { signal }) => {
      started.resolve(signal);
      return new Promise(() => {});
    },
  }, { drainMs: 1 });
  const call = codeOf(net.client.unary(getTask, {}));
  const signal = await started.promise;
  await net.server[Symbol.asyncDispose]();
  assert.equal(signal.aborted, true);
  assert.match(await call, /^(cancelled|unavailable)$/);
  await net[Symbol.asyncDispose]();
});

Deno.test("startGrpcServer() makes a socket of mode 0600 and removes it at the end", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "a.sock");
  {
    await using net = await setUp({ getNodeInfo: (_, { peer }) => ({ nodeInfo: { peerId: peer } }) }, {
      listen: path,
    });
    assert.equal(net.server.address, `unix://${path}`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await net.client.unary(getNodeInfo, {})).nodeInfo?.peerId, "unix");
  }
  await assert.rejects(stat(path), { code: "ENOENT" });
});

Deno.test("startGrpcServer() refuses a socket that somebody answers, and leaves it alone", async () => {
  await using folder = await makeFolder();
  const listen = `unix://${folder.path}/a.sock`;
  await using net = await setUp({ getNodeInfo: () => ({}) }, { listen });
  const error = await setUp({}, { listen }).catch((error) => error);
  assert.equal(error.code, "failed_precondition");
  assert.match(error.message, /a\.sock.*already running/);
  await net.client.unary(getNodeInfo, {});
});

Deno.test("startGrpcServer() replaces the socket of a process that was killed", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "a.sock");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `Deno.listen({ transport: "unix", path: Deno.args[0] }); Deno.kill(Deno.pid, "SIGKILL")`,
      path,
    ],
    stderr: "null",
  });
  await child.output();
  assert.equal((await Deno.lstat(path)).isSocket, true);
  await using net = await setUp({ getNodeInfo: () => ({}) }, { listen: path });
  await net.client.unary(getNodeInfo, {});
});

Deno.test("startGrpcServer() refuses to replace a file that is no socket", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "a.sock");
  await Deno.writeTextFile(path, "precious");
  assert.equal(await codeOf(setUp({}, { listen: path })), "failed_precondition");
  assert.equal(await Deno.readTextFile(path), "precious");
});

Deno.test("startGrpcServer() refuses an address that others can reach, unless allowed", async () => {
  assert.equal(await codeOf(setUp({}, { listen: "tcp://0.0.0.0:0" })), "permission_denied");
  assert.equal(await codeOf(setUp({}, { listen: "tcp://[::]:0" })), "permission_denied");
  assert.equal(await codeOf(setUp({}, { listen: "tcp://example.org:0" })), "permission_denied");
});

Deno.test("startGrpcServer() serves bracketed IPv6 and reports a port in use", async () => {
  await using net = await setUp({ getNodeInfo: () => ({}) }, { listen: "tcp://[::1]:0" });
  assert.match(net.server.address, /^tcp:\/\/\[::1\]:[1-9]\d*$/);
  await net.client.unary(getNodeInfo, {});
  assert.equal(await codeOf(setUp({}, { listen: net.server.address })), "failed_precondition");
});

Deno.test("GRPC_STATUS has the numbers gRPC gives", () => {
  const name = (code: string) => code.toUpperCase() as keyof typeof grpc.status;
  for (const code of ERROR_CODES) assert.equal(GRPC_STATUS[code], grpc.status[name(code)]);
});

/** A plain client of the library, past our own. */
const rawClient = (address: string) =>
  new grpc.Client(address.replace("tcp://", ""), grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1, // the shared pool has a timer that nobody stops
  });

const identity = (bytes: Buffer) => bytes;
const healthRequest = (service: string) => Buffer.from(new BinaryWriter().tag(1, 2).string(service).finish());

function statusIn(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  reader.tag();
  return reader.int32();
}

async function healthCheck(address: string, service: string): Promise<number> {
  return statusIn(
    await rawUnary(address, { path: "/grpc.health.v1.Health/Check", body: healthRequest(service) }),
  );
}

/** One call with a plain client of the library. */
function rawUnary(
  address: string,
  { path, headers = {}, body = Buffer.alloc(0) }: {
    path: string;
    headers?: Record<string, string>;
    body?: Buffer;
  },
): Promise<Buffer> {
  const client = rawClient(address);
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, identity, identity, body, metadata, (error, response) => {
      if (response === undefined) reject(error);
      else resolve(response);
    });
  }).finally(() => client.close());
}
