import assert from "node:assert/strict";
import http2 from "node:http2";
import { CodedError } from "../../core/errors.ts";
import { installHttp2Guard } from "../../core/http2_guard.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { StoreService } from "../../gen/agntcy/dir/store/v1/store_service_pb.ts";
import { silentLogger } from "../../core/log.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { createRpcService } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";

const { getNodeInfo } = NodeService.method;

/** A server that is no gRPC server: `answer` gets each stream. */
async function startHttp2(
  answer: (stream: http2.ServerHttp2Stream) => void,
): Promise<AsyncDisposable & { address: string }> {
  installHttp2Guard();
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {}); // clients are cut off on purpose
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream) => {
    stream.on("error", () => {}); // as above
    answer(stream as http2.ServerHttp2Stream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    address: `tcp://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function codeFrom(answer: (stream: http2.ServerHttp2Stream) => void): Promise<string> {
  await using server = await startHttp2(answer);
  using client = createRpcClient(server.address);
  return await client.unary(getNodeInfo, {}).then(() => "ok", (error) => error.code);
}

const frame = (flag: number, length: number, body: number[] = []) =>
  Uint8Array.of(flag, length >>> 24, length >>> 16, length >>> 8, length, ...body);

function respond(stream: http2.ServerHttp2Stream, body: Uint8Array, trailers: Record<string, string>): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

Deno.test("createRpcClient() takes a message that comes in pieces", async () => {
  await using server = await startHttp2((stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    const whole = [...frame(0, 5), 0x0a, 3, 0x0a, 1, 0x78]; // GetNodeInfoResponse{node_info{peer_id:"x"}}
    for (const byte of whole) stream.write(Uint8Array.of(byte));
    stream.end();
  });
  using client = createRpcClient(server.address);
  assert.equal((await client.unary(getNodeInfo, {})).nodeInfo?.peerId, "x");
});

Deno.test("createRpcClient() throws a coded error for each way to answer wrongly", async () => {
  const answers: [string, (stream: http2.ServerHttp2Stream) => void][] = [
    ["not_found", (stream) => respond(stream, new Uint8Array(), { "grpc-status": "5" })],
    ["unknown", (stream) => respond(stream, new Uint8Array(), { "grpc-status": "99" })],
    ["unknown", (stream) => respond(stream, new Uint8Array(), { "grpc-status": "x" })],
    ["internal", (stream) => respond(stream, new Uint8Array(), { "grpc-status": "0" })],
    ["internal", (stream) => respond(stream, frame(1, 0), { "grpc-status": "0" })],
    ["data_loss", (stream) => respond(stream, frame(0, 9, [1]), { "grpc-status": "0" })],
    ["resource_exhausted", (stream) => respond(stream, frame(0, 0xffffffff), { "grpc-status": "0" })],
    ["unavailable", (stream) => respond(stream, frame(0, 0), {})],
    ["unavailable", (stream) => stream.respond({ ":status": 404 }, { endStream: true })],
    ["unavailable", (stream) => stream.session?.destroy()],
    ["cancelled", (stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
  ];
  for (const [code, answer] of answers) assert.equal(await codeFrom(answer), code);
});

Deno.test("createRpcClient() decodes the message of a status, and shows one that cannot be decoded", async () => {
  for (const [sent, shown] of [["gr%C3%BCn%0A", "grün\n"], ["100%", "100%"]]) {
    await using server = await startHttp2((stream) =>
      respond(stream, new Uint8Array(), { "grpc-status": "9", "grpc-message": sent ?? "" })
    );
    using client = createRpcClient(server.address);
    await assert.rejects(client.unary(getNodeInfo, {}), { code: "failed_precondition", message: shown });
  }
});

Deno.test("createRpcClient() gives up in time when the other side never speaks HTTP/2", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const client = createRpcClient(`tcp://127.0.0.1:${listener.addr.port}`);
  await assert.rejects(client.unary(getNodeInfo, {}, { timeoutMs: 30 }), { code: "deadline_exceeded" });
  const controller = new AbortController();
  const call = client.unary(getNodeInfo, {}, { signal: controller.signal });
  controller.abort();
  await assert.rejects(call, { code: "cancelled" });
  client[Symbol.dispose]();
  (await accepted).close();
  listener.close();
});

Deno.test("createRpcClient() refuses calls after it is disposed", async () => {
  const client = createRpcClient("127.0.0.1:1");
  client[Symbol.dispose]();
  await assert.rejects(client.unary(getNodeInfo, {}), { code: "unavailable" });
});

Deno.test("createRpcClient() throws invalid_argument for what is no address", () => {
  const long = "/" + "x".repeat(107);
  for (
    const address of ["", "relative/path", "host", "tcp://host", "tcp://h:99999", "http://h:1", long, "::1:5"]
  ) {
    assert.throws(() => createRpcClient(address), { code: "invalid_argument" }, address);
  }
});

Deno.test("exchange() gives each answer while the next request is not yet there, and throws what ends it", async () => {
  const service = createRpcService(StoreService, {
    async *pull(requests) {
      for await (const { cid } of requests) {
        if (cid === "none") throw new CodedError("not_found", "no such record");
        yield { data: { name: cid } };
      }
    },
  });
  await using server = await startGrpcServer({ services: [service], logger: silentLogger }, {
    listen: "127.0.0.1:0",
  });
  using client = createRpcClient(server.address);
  let answered = Promise.withResolvers<void>();
  const requests = async function* () {
    for (const cid of ["a", "b", "none"]) {
      yield { cid };
      await answered.promise;
      answered = Promise.withResolvers();
    }
  };
  const names: unknown[] = [];
  const asking = (async () => {
    for await (const { data } of client.exchange(StoreService.method.pull, requests())) {
      names.push(data?.name);
      answered.resolve();
    }
  })();
  await assert.rejects(asking, { code: "not_found", message: "no such record" });
  assert.deepEqual(names, ["a", "b"]);
});

Deno.test("createRpcClient() takes no answer that is longer than maxAnswerBytes", async () => {
  await using server = await startHttp2((stream) =>
    respond(stream, frame(0, 5, [10, 3, 10, 1, 120]), { "grpc-status": "0" })
  );
  using client = createRpcClient(server.address);
  const ask = (maxAnswerBytes: number) => client.unary(getNodeInfo, {}, { maxAnswerBytes });
  assert.equal((await ask(5)).nodeInfo?.peerId, "x");
  await assert.rejects(ask(4), { code: "resource_exhausted", message: /5 bytes, at most 4/ });
});
