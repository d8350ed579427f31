import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { FederatedRegistrationSchema } from "../../gen/agentanycast/v1/federation_pb.ts";
import { Merge } from "../../relay/federation/merge.ts";
import { toldChanges } from "../../relay/federation/told_changes.ts";
import { encodeWireEntry } from "../../relay/registry/entry_codec.ts";
import { callerOf } from "../../relay/services/caller_of.ts";
import { RequestRate } from "../../relay/services/request_rate.ts";
import { identityOf, type RigOptions, startRegistry, stranger } from "./registry/registry_rig.ts";

/** A registry, and what other relays tell it. */
async function startMerge(options: RigOptions = {}) {
  const rig = await startRegistry(options);
  const merge = new Merge({ ...rig, capacity: rig.options.capacity });
  const tell = (
    number: number,
    { by, trusted = false, ...told }: { by: string; trusted?: boolean } & Record<string, unknown>,
  ) => {
    const identity = identityOf(number);
    const seconds = BigInt(Math.floor(rig.clock.now() / 1000));
    const wire = create(FederatedRegistrationSchema, {
      peerId: identity.peerId,
      version: BigInt(rig.clock.now()) * 1_000_000n,
      registeredAt: { seconds, nanos: 0 },
      expiresAt: { seconds: seconds + 60n, nanos: 0 },
      signedRecord: { ...rig.sign(identity) },
      ...told,
    });
    return merge.accept(wire, { relayId: by, trusted });
  };
  return { ...rig, tell };
}

Deno.test("accept() gives strangers a tenth of the room all together, whatever they call themselves", async () => {
  const rig = await startMerge({ capacity: 100 });
  const taken = [];
  for (let i = 1; i <= 12; i++) taken.push(await rig.tell(i, { by: `stranger ${i}` }));
  assert.deepEqual(taken.filter((one) => one === "accepted").length, 10);
  assert.equal(await rig.tell(20, { by: "friend", trusted: true }), "accepted");
});

Deno.test("accept() keeps times that are no date, and names of relays without end, out of the directory", async () => {
  const rig = await startMerge();
  const long = "x".repeat(300);
  for (const told of [{ originRelayId: long }, { path: [long] }, { path: ["a", long, "b"] }]) {
    assert.equal(await rig.tell(1, { by: "stranger", ...told }), "refused");
  }
  assert.equal(await rig.tell(1, { by: long }), "refused");
  const registeredAt = { seconds: -(2n ** 62n), nanos: 0 };
  assert.equal(await rig.tell(1, { by: "stranger", registeredAt }), "accepted");
  const [found] = (await rig.registry.find({})).agents;
  assert.equal(found?.registeredAtMs, 0);
  assert.equal(found?.lastSeenMs, 0);
});

Deno.test("accept() counts the bytes of an entry that grows", async () => {
  const rig = await startMerge({ maxBytes: 4_000 });
  assert.equal(await rig.tell(1, { by: "friend", trusted: true }), "accepted");
  const signedRecord = { ...rig.sign(identityOf(1), { sequence: 2, description: "x".repeat(4_000) }) };
  assert.equal(await rig.tell(1, { by: "friend", trusted: true, signedRecord }), "refused");
});

Deno.test("toldChanges() tells no more at once than fits into a message, and all in the end", async () => {
  const rig = await startRegistry();
  const skills = Array.from(
    { length: 20 },
    (_, i) => ({ id: `s${i}`, description: "ü".repeat(700), tags: {} }),
  );
  for (let i = 1; i <= 30; i++) {
    await rig.registry.register(rig.sign(identityOf(i), { skills }), stranger(`h${i}`));
  }
  const sizes: number[] = [];
  let count = 0;
  for (let after = 0, more = true; more;) {
    const told = toldChanges(rig, after, { to: "other", transitive: true, limit: 200 });
    sizes.push(told.entries.reduce((sum, entry) => sum + encodeWireEntry(entry).length, 0));
    count += told.entries.length;
    ({ number: after, more } = told);
  }
  assert.equal(count, 30);
  assert.ok(sizes.length > 1);
  assert.ok(Math.max(...sizes) < 1024 * 1024, `${sizes}`);
});

Deno.test("takeChange() counts as many changes as a call stands for", () => {
  const rate = new RequestRate({ changesPerSecond: 1, queriesPerSecond: 1 }, () => 0);
  rate.takeChange(stranger(), 9);
  assert.throws(() => rate.takeChange(stranger(), 2), { code: "resource_exhausted" });
  rate.takeChange(stranger());
});

Deno.test("callerOf() takes a peer that has gone for no caller on this machine", () => {
  const context = { signal: new AbortController().signal, metadata: new Map(), peer: "P", peerId: "P" };
  assert.equal(callerOf(context, () => undefined).host, "peer P");
  assert.equal(callerOf(context, () => "192.0.2.1").host, "192.0.2.1");
});
