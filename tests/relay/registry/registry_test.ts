import assert from "node:assert/strict";
import { createMemoryKvStore, type KvStore, registrationPrefix } from "../../../kv/mod.ts";
import { identityOf, peer, startRegistry, stranger } from "./registry_rig.ts";

const [A, B] = [identityOf(1), identityOf(2)];
const UNSIGNED = {
  peerId: A.peerId,
  name: "Plain",
  description: "",
  skills: [{ id: "echo", description: "", tags: {} }, { id: "draw", description: "", tags: {} }],
  addresses: [],
};

Deno.test("register() makes a signed registration found, until its lease is over", async () => {
  const rig = await startRegistry();
  const lease = await rig.registry.register(rig.sign(A), peer(A));
  assert.deepEqual({ ttlMs: lease.ttlMs, relayId: lease.relayId }, { ttlMs: 30_000, relayId: rig.relayId });
  const [agent] = (await rig.registry.find({ skill: "echo" })).agents;
  assert.equal(agent?.verified, true);
  assert.equal(agent?.viaRelayId, rig.relayId);
  rig.clock.advance(29_999);
  assert.deepEqual(await rig.found({ skill: "echo" }), [A.peerId]);
  rig.clock.advance(1);
  assert.deepEqual(await rig.found({ skill: "echo" }), []);
  await rig.registry.sweep();
  assert.equal(rig.directory.here.size, 0);
});

Deno.test("register() refuses another peer's record over libp2p, and takes it over gRPC", async () => {
  const rig = await startRegistry();
  await assert.rejects(rig.registry.register(rig.sign(A), peer(B)), { code: "permission_denied" });
  assert.deepEqual(await rig.found(), []);
  await rig.registry.register(rig.sign(A), stranger());
  assert.deepEqual(await rig.found(), [A.peerId]);
});

Deno.test("register() refuses a forged, an expired and a far-future record", async () => {
  const rig = await startRegistry();
  const record = rig.sign(A);
  const forged = { payload: record.payload, signature: rig.sign(B).signature };
  await assert.rejects(rig.registry.register(forged, stranger()), { code: "unauthenticated" });
  const future = rig.sign(A, {
    issuedAtMs: rig.clock.now() + 400_000,
    expiresAtMs: rig.clock.now() + 500_000,
  });
  await assert.rejects(rig.registry.register(future, stranger()), { code: "invalid_argument" });
  rig.clock.advance(3_600_000);
  await assert.rejects(rig.registry.register(record, stranger()), { code: "failed_precondition" });
  assert.deepEqual(await rig.found(), []);
});

Deno.test("register() refuses a replay of an earlier record, also after the later one has lapsed and a restart", async () => {
  const rig = await startRegistry();
  const first = rig.sign(A);
  await rig.registry.register(first, peer(A));
  await rig.registry.register(rig.sign(A, { sequence: 2, name: "Later" }), peer(A));
  await assert.rejects(rig.registry.register(first, stranger()), {
    code: "aborted",
    details: { sequence: "2" },
  });
  rig.clock.advance(60_000);
  await rig.registry.sweep();
  await assert.rejects(rig.registry.register(first, stranger()), { code: "aborted" });
  const again = await startRegistry({ kv: rig.kv, clock: rig.clock });
  await assert.rejects(again.registry.register(first, stranger()), { code: "aborted" });
});

Deno.test("register() with the same record renews the lease for its peer and for nobody else", async () => {
  const rig = await startRegistry();
  const record = rig.sign(A);
  await rig.registry.register(record, peer(A));
  rig.clock.advance(20_000);
  await rig.registry.register(record, stranger());
  rig.clock.advance(10_000);
  assert.deepEqual(await rig.found(), []);
  await rig.registry.register(record, peer(A));
  assert.deepEqual(await rig.found(), [A.peerId]);
});

Deno.test("withdraw() takes a registration back, for good until a later record", async () => {
  const rig = await startRegistry();
  const record = rig.sign(A, { sequence: 5 });
  await rig.registry.register(record, peer(A));
  const removal = rig.sign(A, { sequence: 6, removed: true });
  await assert.rejects(rig.registry.withdraw(removal, peer(B)), { code: "permission_denied" });
  await assert.rejects(rig.registry.withdraw(rig.sign(A, { sequence: 4, removed: true }), peer(A)), {
    code: "aborted",
  });
  await rig.registry.withdraw(removal, stranger());
  assert.deepEqual(await rig.found(), []);
  await assert.rejects(rig.registry.register(record, peer(A)), { code: "aborted" });
  const again = await startRegistry({ kv: rig.kv, clock: rig.clock });
  await assert.rejects(again.registry.register(record, stranger()), { code: "aborted" });
  await again.registry.register(rig.sign(A, { sequence: 7 }), peer(A));
  assert.deepEqual(await again.found(), [A.peerId]);
});

Deno.test("registerUnsigned() takes it from the peer, from its host, from everybody only when open", async () => {
  const rig = await startRegistry();
  await rig.registry.registerUnsigned(UNSIGNED, peer(A));
  assert.equal(rig.directory.get(A.peerId)?.verified, false);
  const denied = { code: "permission_denied", message: /--registry-open/ };
  await assert.rejects(rig.registry.registerUnsigned(UNSIGNED, stranger()), denied);
  await assert.rejects(rig.registry.registerUnsigned(UNSIGNED, peer(B)), { code: "permission_denied" });
  rig.connected.set(A.peerId, "192.0.2.1");
  await rig.registry.registerUnsigned(UNSIGNED, stranger("192.0.2.1"));
  await assert.rejects(rig.registry.registerUnsigned(UNSIGNED, stranger("192.0.2.2")), denied);
  const open = await startRegistry({ open: true });
  await open.registry.registerUnsigned(UNSIGNED, stranger());
  await open.registry.registerUnsigned({ ...UNSIGNED, peerId: "12D3KooWTestA" }, stranger());
  assert.equal((await open.found()).length, 2);
  await assert.rejects(rig.registry.registerUnsigned({ ...UNSIGNED, peerId: "12D3KooWTestA" }, stranger()), {
    code: "invalid_argument",
  });
});

Deno.test("nobody without a signature overwrites, renews or removes what a peer has signed", async () => {
  const rig = await startRegistry({ open: true });
  await rig.registry.register(rig.sign(A), stranger());
  const denied = { code: "permission_denied" };
  await assert.rejects(rig.registry.registerUnsigned(UNSIGNED, stranger()), denied);
  await assert.rejects(rig.registry.registerUnsigned(UNSIGNED, peer(A)), denied);
  await assert.rejects(rig.registry.heartbeat(A.peerId, stranger()), denied);
  await assert.rejects(rig.registry.heartbeat(A.peerId, peer(B)), denied);
  await assert.rejects(rig.registry.remove(A.peerId, [], stranger()), denied);
  await assert.rejects(rig.registry.remove(A.peerId, [], peer(B)), denied);
  await assert.rejects(rig.registry.remove(A.peerId, ["echo"], peer(A)), denied);
  assert.equal(rig.directory.get(A.peerId)?.name, "Agent");
  await rig.registry.remove(A.peerId, [], peer(A));
  assert.deepEqual(await rig.found(), []);
});

Deno.test("heartbeat() renews, and does not raise what has lapsed", async () => {
  const rig = await startRegistry();
  await assert.rejects(rig.registry.heartbeat(A.peerId, peer(A)), {
    code: "not_found",
    message: `peer ${A.peerId} not found in registry`,
  });
  await rig.registry.register(rig.sign(A), peer(A));
  for (let i = 0; i < 3; i++) {
    rig.clock.advance(20_000);
    await rig.registry.heartbeat(A.peerId, peer(A));
  }
  assert.deepEqual(await rig.found(), [A.peerId]);
  rig.clock.advance(30_000);
  await assert.rejects(rig.registry.heartbeat(A.peerId, peer(A)), { code: "not_found" });
});

Deno.test("a registration never holds longer than its record, heartbeats or connections or not", async () => {
  const rig = await startRegistry();
  await rig.registry.register(rig.sign(A, { expiresAtMs: rig.clock.now() + 45_000 }), peer(A));
  rig.connected.set(A.peerId, "192.0.2.1");
  rig.clock.advance(25_000);
  await rig.registry.heartbeat(A.peerId, peer(A));
  rig.clock.advance(19_999);
  assert.deepEqual(await rig.found(), [A.peerId]);
  rig.clock.advance(1);
  assert.deepEqual(await rig.found(), []);
});

Deno.test("an open connection renews the lease; after its loss a third of one is left", async () => {
  const rig = await startRegistry();
  await rig.registry.register(rig.sign(A), peer(A));
  rig.connected.set(A.peerId, "192.0.2.1");
  rig.clock.advance(300_000);
  await rig.registry.sweep();
  const [agent] = (await rig.registry.find({ skill: "echo" })).agents;
  assert.equal(agent?.lastSeenMs, rig.clock.now());
  rig.connected.delete(A.peerId);
  rig.directory.onDisconnected(A.peerId);
  rig.clock.advance(9_999);
  assert.deepEqual(await rig.found(), [A.peerId]);
  rig.clock.advance(1);
  assert.deepEqual(await rig.found(), []);
});

Deno.test("remove() removes some skills of an unsigned registration, then all", async () => {
  const rig = await startRegistry();
  await rig.registry.registerUnsigned(UNSIGNED, peer(A));
  await rig.registry.remove(A.peerId, ["echo", "unknown"], peer(A));
  assert.deepEqual([await rig.found({ skill: "echo" }), await rig.found({ skill: "draw" })], [[], [
    A.peerId,
  ]]);
  await rig.registry.remove(A.peerId, [], peer(A));
  await rig.registry.remove(B.peerId, [], peer(B));
  assert.deepEqual(await rig.found(), []);
});

Deno.test("start() takes up what was registered before, for one lease", async () => {
  const rig = await startRegistry();
  await rig.registry.register(rig.sign(A, { name: "Signed" }), peer(A));
  await rig.registry.registerUnsigned({ ...UNSIGNED, peerId: B.peerId }, peer(B));
  rig.clock.advance(600_000);
  const again = await startRegistry({ kv: rig.kv, clock: rig.clock });
  assert.deepEqual(
    (await again.registry.find({})).agents.map(({ name, verified }) => [name, verified]).sort(),
    [["Plain", false], ["Signed", true]],
  );
  await again.registry.heartbeat(A.peerId, peer(A));
  rig.clock.advance(29_999);
  assert.equal((await again.found()).length, 2);
  rig.clock.advance(30_000);
  assert.equal((await again.found()).length, 0);
});

Deno.test("register() names the limit that it is full by, and lets those go on that are there", async () => {
  const rig = await startRegistry({ capacity: 2, maxPerHost: 1 });
  await rig.registry.register(rig.sign(A), peer(A, "192.0.2.1"));
  await assert.rejects(rig.registry.register(rig.sign(B), peer(B, "192.0.2.1")), {
    code: "resource_exhausted",
    message: /1 peers from one address \(--registry-max-per-host\)/,
  });
  await rig.registry.register(rig.sign(B), peer(B, "192.0.2.2"));
  const C = identityOf(3);
  await assert.rejects(rig.registry.register(rig.sign(C), peer(C, "127.0.0.1")), {
    code: "resource_exhausted",
    message: /2 peers \(--registry-capacity\)/,
  });
  await rig.registry.register(rig.sign(A, { sequence: 2 }), peer(A, "192.0.2.1"));
  const six = await startRegistry({ maxPerHost: 1 });
  await six.registry.register(rig.sign(A), peer(A, "2001:db8::1"));
  await assert.rejects(six.registry.register(rig.sign(B), peer(B, "2001:db8::2")), {
    code: "resource_exhausted",
  });
  await six.registry.register(rig.sign(B), peer(B, "2001:db8:0:1::2"));
  const small = await startRegistry({ maxBytes: 2_000 });
  await assert.rejects(small.registry.register(rig.sign(A, { description: "d".repeat(1_000) }), peer(A)), {
    code: "resource_exhausted",
    message: /2000 bytes/,
  });
});

Deno.test("sweep() forgets what is stored of withdrawals that there is no room for", async () => {
  const rig = await startRegistry({ capacity: 3 });
  for (let i = 1; i <= 10; i++) {
    await rig.registry.withdraw(rig.sign(identityOf(i), { removed: true }), stranger(`192.0.2.${i}`));
  }
  await rig.registry.sweep();
  const stored = await Array.fromAsync(rig.kv.list(registrationPrefix(rig.relayId)), ({ key }) => key.at(-1));
  assert.deepEqual(stored.sort(), [8, 9, 10].map((i) => identityOf(i).peerId).sort());
});

Deno.test("sweep() does not forget a registration that is being stored", async () => {
  const kv = createMemoryKvStore();
  let written: PromiseWithResolvers<void> | undefined = undefined;
  const slow: KvStore = {
    get: (key) => kv.get(key),
    list: (prefix, options) => kv.list(prefix, options),
    commit: async (operations) => {
      const revision = await kv.commit(operations);
      await written?.promise; // it is on disk, and nobody has been told
      return revision;
    },
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
  const rig = await startRegistry({ kv: slow });
  await rig.registry.withdraw(rig.sign(A, { removed: true }), peer(A));
  rig.clock.advance(3_600_000);
  written = Promise.withResolvers<void>();
  const registering = rig.registry.register(rig.sign(A, { sequence: 2 }), peer(A));
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  const sweeping = rig.registry.sweep();
  written.resolve();
  await Promise.all([registering, sweeping]);
  const again = await startRegistry({ kv, clock: rig.clock });
  assert.deepEqual(await again.found(), [A.peerId]);
});

Deno.test("skills() has a bound, over all relays together", async () => {
  const rig = await startRegistry();
  const skills = ["a1", "a2", "b1"].map((id) => ({ id, description: "", tags: {} }));
  await rig.registry.register(rig.sign(A, { skills }), peer(A));
  assert.deepEqual(rig.directory.skills({ limit: 2 }).map(({ id }) => id), ["a1", "a2"]);
  assert.deepEqual(rig.directory.skills({ prefix: "b" }).map(({ id }) => id), ["b1"]);
});
