import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  type DiscoverBySkillResponseSchema,
  RegistryService,
} from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { createIdentity, type RegistryRecord, signRegistryRecord } from "../../identity/mod.ts";
import { RegistryClient } from "../../registry/mod.ts";
import type { CallsClient } from "../../rpc/channel_calls.ts";

const NOW_MS = 1_800_000_000_000;
const [agent, other] = [7, 8].map((byte) => createIdentity(new Uint8Array(32).fill(byte)));

function signedBy(identity: typeof agent, fields: Partial<RegistryRecord> = {}) {
  return signRegistryRecord({
    ...{ sequence: 1, issuedAtMs: NOW_MS, expiresAtMs: NOW_MS + 1_000, name: "True", description: "" },
    ...{ addresses: ["/ip4/192.0.2.1/tcp/1"], removed: false },
    skills: fields.removed ? [] : [{ id: "echo", description: "", tags: {} }],
    ...fields,
  }, identity!);
}

/** A client of a relay that answers `agents`, whatever it is asked. */
function clientOf(agents: MessageInitShape<typeof DiscoverBySkillResponseSchema>["agents"], nowMs = NOW_MS) {
  const { output } = RegistryService.method.discoverBySkill;
  const calls = {
    unary: () => Promise.resolve(create(output, { agents: agents ?? [] })),
    [Symbol.dispose]: () => {},
  } as unknown as CallsClient;
  return new RegistryClient({ calls, now: () => nowMs });
}

const told = { peerId: agent!.peerId, agentName: "Lie", verified: true, skills: [{ skillId: "steal" }] };

Deno.test("find() believes what the peer has signed, and not what the relay says about it", async () => {
  using client = clientOf([{ ...told, signedRecord: signedBy(agent), addresses: ["/ip4/192.0.2.9/tcp/9"] }]);
  const [found] = (await client.find({ skill: "echo" })).agents;
  assert.deepEqual([found?.name, found?.skills.map(({ id }) => id), found?.verified], [
    "True",
    ["echo"],
    true,
  ]);
  assert.deepEqual(found?.addresses, ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.9/tcp/9"]);
});

Deno.test("find() does not take an unsigned registration for a signed one because the relay says so", async () => {
  using client = clientOf([told]);
  assert.deepEqual((await client.find({})).agents.map(({ verified }) => verified), [false]);
});

Deno.test("find() leaves out records that are forged, of another peer, changed, withdrawn or expired", async () => {
  const record = signedBy(agent);
  const lies = [
    signedBy(other),
    { ...record, signature: signedBy(other).signature },
    { ...record, payload: record.payload.slice(0, -1) },
    signedBy(agent, { removed: true }),
    signedBy(agent, { issuedAtMs: NOW_MS - 10, expiresAtMs: NOW_MS }),
  ];
  using client = clientOf(lies.map((signedRecord) => ({ ...told, signedRecord })));
  assert.deepEqual((await client.find({})).agents, []);
  using later = clientOf([{ ...told, signedRecord: record }], NOW_MS + 1_000);
  assert.deepEqual((await later.find({})).agents, [], "a relay cannot keep a peer that has gone for ever");
});

Deno.test("find() bounds what a relay says: unsigned texts, addresses and times", async () => {
  const addresses = Array.from({ length: 100 }, (_, i) => `/ip4/192.0.2.9/tcp/${i + 1}`);
  const lastSeenAt = { seconds: 2n ** 62n, nanos: 0 };
  using client = clientOf([
    { ...told, agentName: "x".repeat(10_000) },
    { ...told, addresses },
    { ...told, addresses, lastSeenAt, signedRecord: signedBy(agent) },
    { ...told, lastSeenAt: { seconds: -(2n ** 62n), nanos: 0 } },
  ]);
  const found = (await client.find({})).agents;
  assert.deepEqual(found.map(({ lastSeenMs, addresses: { length } }) => [lastSeenMs, length]), [
    [NOW_MS, 16],
    [0, 0],
  ]);
});
