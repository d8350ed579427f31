import assert from "node:assert/strict";
import { silentLogger } from "../../core/log.ts";
import { createMemoryKvStore, registrationKey } from "../../kv/mod.ts";
import { RemoteKvStore } from "../../kv/remote_kv_store.ts";
import { Merge } from "../../relay/federation/merge.ts";
import { SharedStore } from "../../relay/federation/shared_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { identityOf, peer, startRegistry } from "./registry/registry_rig.ts";

const AGENT = identityOf(7);

Deno.test("relays that share a store know of each other's registrations, and of their ends", async () => {
  const shared = { kv: createMemoryKvStore(), clock: new FakeClock(), isShared: true };
  const a = await startRegistry({ ...shared, relay: identityOf(1) });
  const b = await startRegistry({ ...shared, relay: identityOf(2) });
  const merge = new Merge({ ...b, capacity: 100 });
  await using reader = new SharedStore({ ...b, merge, logger: silentLogger }, { everyMs: 3_600_000 });
  const damaged = registrationKey("0 reads nobody", "first");
  await shared.kv.commit([{ op: "set", key: damaged, value: Uint8Array.of(255) }]);
  await a.registry.register(a.sign(AGENT), peer(AGENT));
  await reader.read();
  assert.equal(b.directory.get(AGENT.peerId)?.viaRelayId, a.relayId);
  // It goes on to hold for as long as it is renewed at its relay, and no longer.
  for (let seconds = 0; seconds < 400; seconds += 10) {
    shared.clock.advance(10_000);
    await a.registry.heartbeat(AGENT.peerId, peer(AGENT));
    await a.registry.sweep();
  }
  await reader.read();
  await b.registry.sweep();
  assert.deepEqual(await b.found(), [AGENT.peerId]);
  shared.clock.advance(31_000);
  await a.registry.sweep();
  await reader.read();
  assert.deepEqual(await b.found(), []);
  // A relay that starts anew takes up its own alone.
  await b.registry.register(b.sign(identityOf(8)), peer(identityOf(8)));
  const again = await startRegistry({ ...shared, relay: identityOf(1) });
  assert.deepEqual(await again.found(), []);
});

Deno.test("RemoteKvStore commits, checks, lists in order and deletes", async () => {
  await using store = new RemoteKvStore(await Deno.openKv(":memory:"));
  const value = Uint8Array.of(1);
  const keys = (list: AsyncIterable<{ key: readonly (string | number)[] }>) =>
    Array.fromAsync(list, ({ key }) => key.join("/"));
  const revision = await store.commit(
    ["b", "a", "c"].map((name) => ({ op: "set", key: ["r", name], value })),
  );
  await store.commit([{ op: "set", key: ["other"], value }]);
  assert.ok(revision !== undefined);
  assert.deepEqual(await keys(store.list(["r"])), ["r/a", "r/b", "r/c"]);
  assert.deepEqual(await keys(store.list(["r"], { after: ["r", "a"], limit: 1 })), ["r/b"]);
  assert.deepEqual(await keys(store.list(["r"], { after: ["r", "c"], reverse: true })), ["r/b", "r/a"]);
  assert.equal((await store.get(["r", "a"]))?.revision, revision);
  const changed = (expected: string | undefined) =>
    store.commit([{ op: "check", key: ["r", "a"], revision: expected }, { op: "delete", key: ["r", "a"] }]);
  assert.equal(await changed(undefined), undefined);
  assert.ok(await changed(revision) !== undefined);
  assert.equal(await store.get(["r", "a"]), undefined);
  const large = { op: "set", key: ["r", "large"], value: new Uint8Array(65 * 1024) } as const;
  await assert.rejects(store.commit([large]), { code: "resource_exhausted" });
});
