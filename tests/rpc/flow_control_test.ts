import assert from "node:assert/strict";
import { silentLogger } from "../../core/log.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { createRpcService, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import { untilHolds } from "../support/patience.ts";

const { getNodeInfo, sendStreamingArtifact, subscribeTaskStream } = NodeService.method;
const CHUNK_BYTES = 64 * 1024;
const CHUNKS = 256;

async function setUp(handlers: Partial<RpcHandlers<typeof NodeService>>) {
  const server = await startGrpcServer(
    {
      services: [createRpcService(NodeService, { getNodeInfo: () => ({ nodeInfo: {} }), ...handlers })],
      logger: silentLogger,
    },
    { listen: "tcp://127.0.0.1:0" },
  );
  const client = createRpcClient(server.address);
  return {
    client,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const chunkEvent = (sequence: number) => ({
  event: {
    case: "streamChunk" as const,
    value: { sequence, data: new Uint8Array(CHUNK_BYTES).fill(sequence) },
  },
});

Deno.test("an upload that is not read gets a mebibyte ahead, holds up no other call, and goes on when it is read", async () => {
  const gate = Promise.withResolvers<void>();
  const seen: number[] = [];
  await using net = await setUp({
    sendStreamingArtifact: async (requests) => {
      await gate.promise;
      for await (const { event } of requests) {
        if (event.case !== "streamChunk") continue;
        assert.equal(event.value.data.at(-1), event.value.sequence % 256);
        seen.push(event.value.sequence);
      }
      return {};
    },
  });
  let asked = 0;
  async function* chunks() {
    while (asked < CHUNKS) yield chunkEvent(asked++);
  }
  const sent = net.client.upload(sendStreamingArtifact, chunks());
  await untilHolds(() => asked >= 16); // a mebibyte was taken
  await net.client.unary(getNodeInfo, {});
  assert.ok(asked < CHUNKS / 2, `${asked} chunks were taken that nobody reads`);
  gate.resolve();
  await sent;
  assert.deepEqual(seen, Array.from({ length: CHUNKS }, (_, sequence) => sequence));
});

Deno.test("a download that is not read holds up no other call, and goes on when it is read", async () => {
  let given = 0;
  await using net = await setUp({
    async *subscribeTaskStream() {
      while (given < CHUNKS) yield chunkEvent(given++);
    },
  });
  const answers = net.client.stream(subscribeTaskStream, {})[Symbol.asyncIterator]();
  await answers.next();
  await untilHolds(() => given >= 64); // the window is full
  await net.client.unary(getNodeInfo, {});
  assert.ok(given < CHUNKS, "all of it was taken though nobody reads");
  const seen: number[] = [0];
  for (let next = await answers.next(); !next.done; next = await answers.next()) {
    const { event } = next.value;
    if (event.case !== "streamChunk") continue;
    assert.equal(event.value.data.at(-1), event.value.sequence % 256);
    seen.push(event.value.sequence);
  }
  assert.deepEqual(seen, Array.from({ length: CHUNKS }, (_, sequence) => sequence));
});
