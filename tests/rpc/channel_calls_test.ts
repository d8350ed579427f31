import assert from "node:assert/strict";
import { silentLogger } from "../../core/log.ts";
import { CodedError } from "../../core/errors.ts";
import { RegistryService } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { createCallService } from "../../rpc/call_service.ts";
import { createChannelClient, serveCalls } from "../../rpc/channel_calls.ts";
import { createRpcService, type RpcContext } from "../../rpc/rpc_service.ts";
import { type MemoryChannel, memoryChannels } from "../daemon/peer/memory_channel.ts";

const { heartbeat, discoverBySkill, unregisterSkills } = RegistryService.method;

/** A service that answers who called; each channel that a client opens is served until the end. */
function startServer() {
  const contexts: RpcContext[] = [];
  const service = createRpcService(RegistryService, {
    heartbeat: (_request, context) => {
      contexts.push(context);
      throw new CodedError("not_found", "unknown here");
    },
    discoverBySkill: (request) => ({ agents: [{ peerId: request.skillId }] }),
    unregisterSkills: (_request, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  }, { limits: { maxFields: 100, maxDepth: 4 } });
  const calls = createCallService({ services: [service], logger: silentLogger });
  const stop = new AbortController();
  const channels: MemoryChannel[] = [];
  const served: Promise<unknown>[] = [];
  const open = () => {
    const [near, far] = memoryChannels();
    channels.push(near);
    const options = { peerId: "12D3peer", maxMessageBytes: 10_000, signal: stop.signal };
    served.push(
      serveCalls(far, calls, options).then(() => far.close(), (error) => {
        far.abort(error);
        return error;
      }),
    );
    return Promise.resolve(near);
  };
  return { open, contexts, channels, served, stop };
}

Deno.test("createChannelClient() makes calls that serveCalls() answers, with the proven peer", async () => {
  const server = startServer();
  using client = createChannelClient(server.open);
  const found = await Promise.all(
    ["a", "b", "c"].map((skillId) => client.unary(discoverBySkill, { skillId })),
  );
  assert.deepEqual(found.map(({ agents }) => agents[0]?.peerId), ["a", "b", "c"]);
  await assert.rejects(client.unary(heartbeat, {}), { code: "not_found", message: "unknown here" });
  assert.equal(server.contexts[0]?.peerId, "12D3peer");
  assert.equal(server.channels.length, 1);
});

Deno.test("createChannelClient() opens another channel after the first was lost, and throws what open throws", async () => {
  const server = startServer();
  let down = false;
  using client = createChannelClient(() =>
    down ? Promise.reject(new CodedError("unimplemented", "no such protocol")) : server.open()
  );
  await client.unary(discoverBySkill, { skillId: "a" });
  const waiting = client.unary(unregisterSkills, {});
  server.channels[0]!.abort(new CodedError("unavailable", "cut"));
  await assert.rejects(waiting, { code: "unavailable" });
  assert.equal((await client.unary(discoverBySkill, { skillId: "b" })).agents.length, 1);
  assert.equal(server.channels.length, 2);
  server.channels[1]!.abort(new CodedError("unavailable", "cut"));
  await Promise.all(server.served);
  down = true;
  await assert.rejects(client.unary(discoverBySkill, { skillId: "c" }), { code: "unimplemented" });
});

Deno.test("createChannelClient() gives up a call by its signal and its time", async () => {
  const server = startServer();
  using client = createChannelClient(server.open);
  const stop = new AbortController();
  const waiting = client.unary(unregisterSkills, {}, { signal: stop.signal });
  await client.unary(discoverBySkill, { skillId: "a" });
  stop.abort();
  await assert.rejects(waiting, { code: "cancelled" });
  const connection = setInterval(() => {}, 1_000); // what keeps a program alive; the deadline alone does not
  await assert.rejects(client.unary(unregisterSkills, {}, { timeoutMs: 5 }), { code: "deadline_exceeded" });
  clearInterval(connection);
});

Deno.test("serveCalls() gives up a channel with a message that is too long", async () => {
  const server = startServer();
  using client = createChannelClient(server.open);
  await assert.rejects(client.unary(discoverBySkill, { skillId: "x".repeat(10_000) }), {
    code: "unavailable",
  });
  assert.match(String(await server.served[0]), /at most 10000 are taken/);
});

Deno.test("createRpcService() refuses a request with more fields than its limits allow", async () => {
  const server = startServer();
  using client = createChannelClient(server.open);
  const skillIds = Array.from({ length: 101 }, () => "");
  await assert.rejects(client.unary(unregisterSkills, { skillIds }), {
    code: "invalid_argument",
    message: /more than 100 fields/,
  });
});
