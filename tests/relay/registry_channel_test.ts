import assert from "node:assert/strict";
import { createIdentity, type Identity, signRegistryRecord } from "../../identity/mod.ts";
import { REGISTRY_PROTOCOL } from "../../p2p/mod.ts";
import { RegistryClient } from "../../registry/mod.ts";
import { FederationService } from "../../gen/agentanycast/v1/federation_pb.ts";
import { RegistryService } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { createChannelClient } from "../../rpc/channel_calls.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { openTestHost } from "../p2p/test_host.ts";
import { untilHolds } from "../support/patience.ts";
import { startTestRelay, type TestRelay } from "./test_relay.ts";

/** A peer that is connected to a relay, and its way to the registry. */
async function openPeer(relay: TestRelay, byte: number) {
  const identity = createIdentity(new Uint8Array(32).fill(byte));
  const host = await openTestHost({ seed: identity.seed });
  await host.host.connect(relay.relay.peerId, [relay.address]);
  const open = (signal: AbortSignal) =>
    host.host.openChannel(relay.relay.peerId, REGISTRY_PROTOCOL, { signal });
  const calls = createChannelClient(open);
  return {
    ...{ identity, calls, open, client: new RegistryClient({ calls }) },
    async [Symbol.asyncDispose]() {
      calls[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

function recordOf(identity: Identity, { sequence = 1, removed = false } = {}) {
  const nowMs = Date.now();
  const facts = {
    ...{ sequence, removed, name: "Agent", description: "", addresses: [] },
    ...{ issuedAtMs: nowMs, expiresAtMs: nowMs + 60_000 },
    skills: removed ? [] : [{ id: "echo", description: "", tags: {} }],
  };
  return { record: { ...facts, peerId: identity.peerId }, signed: signRegistryRecord(facts, identity) };
}

Deno.test("a peer registers, renews and withdraws itself over libp2p, and nobody else", async () => {
  await using relay = await startTestRelay();
  await using a = await openPeer(relay, 1);
  await using b = await openPeer(relay, 2);
  const lease = await a.client.register(recordOf(a.identity));
  assert.deepEqual([lease.ttlMs, lease.relayId], [30_000, relay.relay.peerId]);
  const denied = { code: "permission_denied" };
  await assert.rejects(b.client.register(recordOf(a.identity, { sequence: 2 })), denied);
  await assert.rejects(b.client.unregister(recordOf(a.identity, { sequence: 2, removed: true })), denied);
  await assert.rejects(
    b.calls.unary(FederationService.method.syncRegistrations, { relayId: a.identity.peerId }),
    denied,
  );
  await a.client.heartbeat(a.identity.peerId);
  assert.equal((await b.client.find({ skill: "echo" })).agents[0]?.peerId, a.identity.peerId);
  await a.client.unregister(recordOf(a.identity, { sequence: 2, removed: true }));
  assert.deepEqual((await b.client.find({ skill: "echo" })).agents, []);
});

Deno.test("an agent without signatures registers over gRPC from the host that its peer is connected from", async () => {
  await using relay = await startTestRelay({ registryTtlMs: 2_000 });
  using grpc = new RegistryClient({ calls: createRpcClient(relay.registry) });
  const peer = await openPeer(relay, 1);
  using rpc = createRpcClient(relay.registry);
  const register = (peerId: string) =>
    rpc.unary(RegistryService.method.registerSkills, {
      peerId,
      skills: [{ skillId: "plain" }],
      agentName: "Plain",
    });
  await assert.rejects(register(createIdentity(new Uint8Array(32).fill(9)).peerId), {
    code: "permission_denied",
  });
  await register(peer.identity.peerId);
  const [found] = (await grpc.find({ skill: "plain" })).agents;
  assert.deepEqual([found?.name, found?.verified], ["Plain", false]);
  await peer[Symbol.asyncDispose]();
  await untilHolds(async () => (await grpc.find({ skill: "plain" })).agents.length === 0);
});

Deno.test("messages that are too long, no messages, or too many fields harm nobody but their sender", async () => {
  await using relay = await startTestRelay();
  await using good = await openPeer(relay, 1);
  await using bad = await openPeer(relay, 2);
  await good.client.register(recordOf(good.identity));
  const { signal } = new AbortController();
  for (const message of [new Uint8Array(2 * 1024 * 1024), new Uint8Array(1_000).fill(0xff)]) {
    const channel = await bad.open(signal);
    await channel.send(message);
    await assert.rejects(Array.fromAsync(channel.frames()), { code: "unavailable" });
  }
  using rpc = createRpcClient(relay.registry);
  const many = {
    peerId: bad.identity.peerId,
    skills: Array.from({ length: 30_000 }, () => ({ skillId: "x" })),
  };
  await assert.rejects(bad.calls.unary(RegistryService.method.registerSkills, many), {
    code: "invalid_argument",
    message: /more than 20000 fields/,
  });
  const large = { peerId: bad.identity.peerId, agentName: "n".repeat(2 * 1024 * 1024) };
  await assert.rejects(rpc.unary(RegistryService.method.registerSkills, large), {
    code: "resource_exhausted",
  });
  await good.client.heartbeat(good.identity.peerId);
});
