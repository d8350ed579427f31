import assert from "node:assert/strict";
import { createIdentity, type Identity, signRegistryRecord } from "../../identity/mod.ts";
import { FederationService } from "../../gen/agentanycast/v1/federation_pb.ts";
import { RegistryService } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { RegistryClient } from "../../registry/mod.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { untilHolds } from "../support/patience.ts";
import { startTestRelay, type TestRelay } from "./test_relay.ts";

const identityOf = (byte: number) => createIdentity(new Uint8Array(32).fill(byte));
const FAST = { federationSyncIntervalMs: 60_000 };

/** A client of the registry over gRPC. */
function clientOf({ registry }: TestRelay): RegistryClient {
  return new RegistryClient({ calls: createRpcClient(registry) });
}

function recordOf(identity: Identity, { sequence = Date.now(), removed = false, name = "Agent" } = {}) {
  const nowMs = Date.now();
  const facts = {
    ...{ sequence, removed, name, description: "", addresses: [] },
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 600_000,
    skills: removed ? [] : [{ id: "echo", description: "", tags: {} }],
  };
  return { record: { ...facts, peerId: identity.peerId }, signed: signRegistryRecord(facts, identity) };
}

async function namesAt(relay: TestRelay): Promise<string[]> {
  using client = clientOf(relay);
  const { agents } = await client.find({ skill: "echo" });
  return agents.map(({ name, verified }) => `${name}${verified ? "" : " (unsigned)"}`);
}

const has = (relay: TestRelay, ...names: string[]) => async () =>
  (await namesAt(relay)).join() === names.join();

Deno.test("a registration and its removal reach relays over several hops, whichever way the links were named", async () => {
  await using a = await startTestRelay(FAST);
  await using b = await startTestRelay({ ...FAST, federationPeers: [a.registry] });
  await using c = await startTestRelay({ ...FAST, federationPeers: [b.address] });
  using client = clientOf(a);
  const agent = identityOf(1);
  await client.register(recordOf(agent, { sequence: 1 }));
  // B asks A at intervals; A has not been told of B.
  await using d = await startTestRelay({ ...FAST, federationPeers: [a.address, c.address] });
  await untilHolds(has(d, "Agent"));
  await untilHolds(has(c, "Agent"));
  using atC = clientOf(c);
  const [found] = (await atC.find({ skill: "echo" })).agents;
  assert.equal(found?.viaRelayId, a.relay.peerId);
  assert.equal(found?.verified, true);
  await client.unregister(recordOf(agent, { sequence: 2, removed: true }));
  using atD = clientOf(d);
  await atD.register(recordOf(agent, { sequence: 3, name: "Back" }));
  await untilHolds(has(c, "Back"));
  await untilHolds(has(b, "Back"));
  await untilHolds(has(a, "Back"));
});

Deno.test("a removal is told on at once, and does not come back from a relay that has not heard of it", async () => {
  await using a = await startTestRelay(FAST);
  await using b = await startTestRelay({ ...FAST, federationPeers: [a.address] });
  using atB = clientOf(b);
  const agent = identityOf(1);
  await atB.register(recordOf(agent, { sequence: 1 }));
  await untilHolds(has(a, "Agent"));
  await atB.unregister(recordOf(agent, { sequence: 2, removed: true }));
  await untilHolds(has(a));
  await using late = await startTestRelay({ ...FAST, federationPeers: [a.address, b.address] });
  using atLate = clientOf(late);
  await atLate.register(recordOf(identityOf(2), { name: "Other" }));
  await untilHolds(has(a, "Other"));
  assert.deepEqual(await namesAt(late), ["Other"]);
  await assert.rejects(atLate.register(recordOf(agent, { sequence: 1 })), { code: "aborted" });
});

Deno.test("a registration that is not renewed is gone everywhere, and stays as long as it is renewed", async () => {
  const fast = { ...FAST, registryTtlMs: 1_000 };
  await using a = await startTestRelay(fast);
  await using b = await startTestRelay({ ...fast, federationPeers: [a.address] });
  using atB = clientOf(b);
  const [kept, lost] = [identityOf(1), identityOf(2)];
  await atB.register(recordOf(lost, { name: "Lost" }));
  await atB.register(recordOf(kept, { sequence: 1, name: "Kept" }));
  await untilHolds(async () => (await namesAt(a)).length === 2);
  let sequence = 1;
  const untilMs = Date.now() + 5_000; // longer than other relays are told that it holds
  await untilHolds(async () => {
    await atB.register(recordOf(kept, { sequence: ++sequence, name: "Kept" }));
    const names = [await namesAt(a), await namesAt(b)];
    return Date.now() >= untilMs && String(names) === "Kept,Kept";
  });
});

/** A relay of nobody, which pushes over gRPC. */
function strangerAt(relay: TestRelay) {
  const rpc = createRpcClient(relay.registry);
  const relayId = identityOf(9).peerId;
  const nowSeconds = BigInt(Math.floor(Date.now() / 1000));
  const usual = {
    originRelayId: relayId,
    version: BigInt(Date.now()) * 1_000_000n,
    registeredAt: { seconds: nowSeconds, nanos: 0 },
    expiresAt: { seconds: nowSeconds + 60n, nanos: 0 },
  };
  return {
    push: async (registration: object) =>
      (await rpc.unary(FederationService.method.pushRegistrations, {
        relayId,
        registrations: [{ ...usual, ...registration }],
      })).accepted,
    [Symbol.dispose]: () => rpc[Symbol.dispose](),
  };
}

Deno.test("a stranger over gRPC cannot push what nobody has signed, nor what is forged or poisoned", async () => {
  await using relay = await startTestRelay();
  using stranger = strangerAt(relay);
  const { peerId } = identityOf(1);
  const { signed: signedRecord } = recordOf(identityOf(1), { sequence: 5 });
  const refused = [
    { peerId, agentName: "Unsigned", skills: [{ skillId: "echo", description: "", tags: {} }] },
    { peerId: identityOf(2).peerId, signedRecord },
    { peerId, signedRecord: { ...signedRecord, signature: new Uint8Array(64) } },
    { peerId, signedRecord, version: 2n ** 64n - 1n },
    { peerId, signedRecord, path: Array.from({ length: 9 }, (_, i) => `relay${i}`) },
  ];
  for (const registration of refused) assert.equal(await stranger.push(registration), 0);
  assert.deepEqual(await namesAt(relay), []);
});

Deno.test("a stranger over gRPC can push what peers have signed, and cannot change or remove it", async () => {
  await using relay = await startTestRelay();
  using stranger = strangerAt(relay);
  using client = clientOf(relay);
  const { peerId } = identityOf(1);
  const { signed: signedRecord } = recordOf(identityOf(1), { sequence: 5, name: "Signed" });
  const expiresAt = { seconds: 253_402_300_799n, nanos: 0 }; // the year 9999
  assert.equal(await stranger.push({ peerId, signedRecord, agentName: "Lie", expiresAt }), 1);
  const [found] = (await client.find({ skill: "echo" })).agents;
  assert.equal(found?.name, "Signed");
  const { signed: dateless } = recordOf(identityOf(3), { name: "No date" });
  const registeredAt = { seconds: -(2n ** 62n), nanos: 0 };
  assert.equal(
    await stranger.push({ peerId: identityOf(3).peerId, signedRecord: dateless, registeredAt }),
    1,
  );
  assert.equal((await (await fetch(`${relay.api}/api/v1/agents?q=date`)).json()).total, 1);
  assert.ok((found?.expiresAtMs ?? Infinity) <= Date.now() + 601_000, "what others say about time is cut");
  assert.equal(
    await stranger.push({ peerId, removed: true, version: BigInt(Date.now() + 60_000) * 1_000_000n }),
    0,
  );
  const { signed: earlier } = recordOf(identityOf(1), { sequence: 4, name: "Earlier" });
  assert.equal(await stranger.push({ peerId, signedRecord: earlier }), 0);
  assert.deepEqual((await namesAt(relay)).sort(), ["No date", "Signed"]);
});

Deno.test("SyncRegistrations answers relays of the existing network as they ask", async () => {
  await using relay = await startTestRelay({ registryOpen: true });
  using rpc = createRpcClient(relay.registry);
  const register = (peerId: string) =>
    rpc.unary(RegistryService.method.registerSkills, {
      peerId,
      skills: [{ skillId: "echo" }],
      agentName: peerId,
    });
  const sync = (since?: { seconds: bigint; nanos: number }, limit = 0) =>
    rpc.unary(FederationService.method.syncRegistrations, {
      relayId: "12D3KooWOther",
      limit,
      ...since && { since },
    });
  await assert.rejects(rpc.unary(FederationService.method.syncRegistrations, {}), {
    code: "invalid_argument",
    message: "relay_id is required",
  });
  for (const name of ["12D3KooWTestA", "12D3KooWTestB", "12D3KooWTestC"]) await register(name);
  const all = await sync();
  assert.deepEqual(all.registrations.map(({ peerId }) => peerId), [
    "12D3KooWTestA",
    "12D3KooWTestB",
    "12D3KooWTestC",
  ]);
  for (const entry of all.registrations) {
    assert.equal(entry.originRelayId, relay.relay.peerId);
    assert.ok(entry.registeredAt !== undefined && entry.expiresAt !== undefined);
    assert.ok(entry.version > 1_600_000_000_000_000_000n, "nanoseconds, as existing relays count");
  }
  const first = await sync(undefined, 2);
  assert.equal(first.registrations.length, 2);
  const rest = await sync(first.syncTimestamp, 100);
  assert.ok(rest.registrations.some(({ peerId }) => peerId === "12D3KooWTestC"), "nothing falls between");
  await rpc.unary(RegistryService.method.unregisterSkills, { peerId: "12D3KooWTestB" });
  const gone = (await sync(all.syncTimestamp)).registrations.find(({ peerId }) => peerId === "12D3KooWTestB");
  assert.ok(Number(gone?.expiresAt?.seconds) * 1000 <= Date.now(), "what has gone has lapsed");
  const before = all.registrations.find(({ peerId }) => peerId === "12D3KooWTestB");
  assert.ok((gone?.version ?? 0n) > (before?.version ?? 0n));
});

Deno.test("a relay that hangs or is away harms nobody, and is told by its status", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const held: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of silent) held.push(connection);
  })();
  const silentAddress = `127.0.0.1:${(silent.addr as Deno.NetAddr).port}`;
  {
    await using a = await startTestRelay();
    await using b = await startTestRelay({ federationPeers: [silentAddress, "127.0.0.1:1", a.address] });
    using atB = clientOf(b);
    await atB.register(recordOf(identityOf(1)));
    await untilHolds(has(a, "Agent"));
    const status = await (await fetch(`${b.api}/api/v1/federation`)).json();
    const healthy = status.peers.map((peer: { healthy: boolean }) => peer.healthy);
    assert.deepEqual(healthy, [false, false, true]);
    assert.match(status.peers[1].last_error, /Nobody answers/);
    const health = await (await fetch(`${b.relay.urls.metrics?.url}/health`)).json();
    assert.equal(health.status, "degraded");
    assert.equal(health.federation.healthy_peers, 1);
  }
  silent.close();
  for (const connection of held) connection.close();
  await accepting;
});
