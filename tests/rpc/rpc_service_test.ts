import assert from "node:assert/strict";
import { createRpcService, type RpcContext } from "../../rpc/rpc_service.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";

const context: RpcContext = { signal: new AbortController().signal, metadata: new Map(), peer: "unix" };
const truncated = new Uint8Array([0x0a, 5, 0x61]);
const refusal = (name: string) => ({
  code: "invalid_argument",
  message: new RegExp(`^The ${name} cannot be read: `),
});

Deno.test("createRpcService() answers a request that cannot be read without calling the handler", async () => {
  const { methods } = createRpcService(NodeService, { getTask: () => assert.fail("called") });
  const { definition, handle } = methods.find((method) => method.definition.path.endsWith("/GetTask"))!;
  const request = definition.requestDeserialize(truncated);
  await assert.rejects(async () => await handle(request, context), refusal("GetTaskRequest"));
});

Deno.test("createRpcService() ends a client stream at the message that cannot be read", async () => {
  let taken = 0;
  const { methods } = createRpcService(NodeService, {
    sendStreamingArtifact: async (requests) => {
      for await (const _ of requests) taken++;
      return {};
    },
  });
  const { definition, handle } = methods.find((method) => method.definition.requestStream)!;
  async function* requests() {
    yield definition.requestDeserialize(new Uint8Array());
    yield definition.requestDeserialize(truncated);
    yield definition.requestDeserialize(new Uint8Array());
  }
  await assert.rejects(
    async () => await handle(requests(), context),
    refusal("SendStreamingArtifactRequest"),
  );
  assert.equal(taken, 1);
});
