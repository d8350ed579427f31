import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ArtifactSchema,
  MessageSchema,
  PartSchema,
  TaskSchema,
  TaskStatus as WireStatus,
} from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AgentCardSchema } from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { NodeInfoSchema, PeerInfoSchema } from "../../gen/agentanycast/v1/common_pb.ts";
import {
  fromWireArtifact,
  fromWireMessage,
  fromWirePart,
  fromWireStatus,
  fromWireTask,
  toArtifacts,
  toMessage,
  toWireArtifact,
  toWireMessage,
  toWirePart,
  toWireStatus,
} from "../../sdk/convert.ts";
import { fromWireCard, fromWireNodeInfo, fromWirePeer, toWireCard } from "../../sdk/convert_node.ts";
import {
  type AgentCard,
  isTerminal,
  type JsonObject,
  type Message,
  type Part,
  type TaskStatus,
} from "../../sdk/mod.ts";
import { FAKE_PEER_ID } from "../support/fake_daemon.ts";

const DID = "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c";

/** The part as the other side gets it. */
function throughWire(part: Part): Part {
  return fromWirePart(fromBinary(PartSchema, toBinary(PartSchema, create(PartSchema, toWirePart(part)))));
}

Deno.test("toWirePart() and fromWirePart() keep every kind of part", () => {
  const parts: Part[] = [
    { text: "" },
    { text: "grün", mediaType: "text/plain", metadata: { lang: "de" } },
    { data: { a: [1, null, { b: true }], "": "x" } },
    { url: "https://example.org/a", filename: "a.png", mediaType: "image/png" },
    { raw: new Uint8Array([0, 255]), filename: "b.bin" },
    { raw: new Uint8Array() },
  ];
  for (const part of parts) assert.deepEqual(throughWire(part), part);
});

Deno.test("toWirePart() sends data the way JSON does", () => {
  const data = { when: new Date(0), gone: undefined } as unknown as JsonObject;
  assert.deepEqual(throughWire({ data }), { data: { when: "1970-01-01T00:00:00.000Z" } });
});

Deno.test("toWirePart() refuses a part without exactly one content, and data that is no object", () => {
  assert.throws(() => toWirePart({}), TypeError);
  assert.throws(() => toWirePart({ text: "a", url: "b" }), TypeError);
  assert.throws(() => toWirePart({ data: [] as unknown as JsonObject }), TypeError);
});

Deno.test("fromWirePart() shows a kind of part it does not know as one without content", () => {
  assert.deepEqual(fromWirePart(create(PartSchema, { mediaType: "x/y" })), { mediaType: "x/y" });
});

Deno.test("toWireMessage() and fromWireMessage() keep role, id and time", () => {
  const messages: Message[] = [
    { role: "user", parts: [{ text: "a" }] },
    { role: "agent", parts: [], messageId: "m", createdAt: new Date(1_700_000_000_123) },
  ];
  for (const message of messages) {
    const bytes = toBinary(MessageSchema, create(MessageSchema, toWireMessage(message)));
    assert.deepEqual(fromWireMessage(fromBinary(MessageSchema, bytes)), message);
  }
});

Deno.test("toMessage() takes text, parts and whole messages", () => {
  assert.deepEqual(toMessage("a", "user"), { role: "user", parts: [{ text: "a" }] });
  assert.deepEqual(toMessage([{ url: "u" }], "agent"), { role: "agent", parts: [{ url: "u" }] });
  const message: Message = { role: "agent", parts: [] };
  assert.equal(toMessage(message, "user"), message);
});

Deno.test("toArtifacts() takes text, one artifact and several, and they survive the wire", () => {
  const one = { parts: [{ text: "a" }], artifactId: "i", name: "n" };
  assert.deepEqual(toArtifacts("a"), [{ parts: [{ text: "a" }] }]);
  assert.deepEqual(toArtifacts(one), [one]);
  assert.deepEqual(toArtifacts([one, one]), [one, one]);
  assert.deepEqual(fromWireArtifact(create(ArtifactSchema, toWireArtifact(one))), one);
});

Deno.test("toWireStatus() and fromWireStatus() know every status", () => {
  const statuses: [TaskStatus, boolean][] = [
    ["submitted", false],
    ["working", false],
    ["input_required", false],
    ["completed", true],
    ["failed", true],
    ["canceled", true],
    ["rejected", true],
  ];
  for (const [status, terminal] of statuses) {
    assert.equal(fromWireStatus(toWireStatus(status)), status);
    assert.equal(isTerminal(status), terminal);
  }
  assert.equal(fromWireStatus(WireStatus.UNSPECIFIED), "submitted");
  assert.throws(() => toWireStatus("done" as TaskStatus), TypeError);
});

Deno.test("fromWireTask() tells everything, and only what is there", () => {
  const bare = fromWireTask(create(TaskSchema, { taskId: "t" }));
  assert.deepEqual(bare, {
    taskId: "t",
    contextId: "",
    status: "submitted",
    messages: [],
    artifacts: [],
    metadata: {},
  });
  const full = fromWireTask(create(TaskSchema, {
    taskId: "t",
    contextId: "c",
    status: WireStatus.FAILED,
    metadata: { k: "v" },
    errorMessage: "e",
    targetSkillId: "s",
    peerId: "p",
    originatorPeerId: "local",
    createdAt: { seconds: 1n, nanos: 500_000_000 },
    updatedAt: { seconds: 2n },
  }));
  assert.equal(full.error, "e");
  assert.deepEqual(full.createdAt, new Date(1_500));
  assert.deepEqual(full.updatedAt, new Date(2_000));
  assert.deepEqual([full.targetSkillId, full.peerId, full.originatorPeerId], ["s", "p", "local"]);
  assert.throws(() => fromWireTask(undefined), { code: "data_loss" });
});

Deno.test("toWireCard() and fromWireCard() keep every field and fill in the defaults", () => {
  const card: AgentCard = {
    name: "n",
    description: "d",
    version: "2.0.0",
    protocolVersion: "a2a/1.0",
    skills: [{
      id: "s",
      name: "S",
      description: "x",
      tags: ["a", "b"],
      inputSchema: "{}",
      outputSchema: "{}",
    }],
    peerId: "p",
    didKey: "k",
    didWeb: "w",
    didDns: "d",
    supportedTransports: ["tcp"],
    relayAddresses: ["/ip4/127.0.0.1/tcp/1"],
    verifiableCredentials: ["{}"],
  };
  const bytes = toBinary(AgentCardSchema, create(AgentCardSchema, toWireCard(card)));
  assert.deepEqual(fromWireCard(fromBinary(AgentCardSchema, bytes)), card);
  assert.deepEqual(fromWireCard(create(AgentCardSchema, toWireCard({ name: "n", skills: [{ id: "s" }] }))), {
    name: "n",
    version: "1.0.0",
    protocolVersion: "a2a/0.3",
    skills: [{ id: "s" }],
  });
});

Deno.test("fromWireNodeInfo() and fromWirePeer() work out the DID when the daemon does not tell it", () => {
  const info = fromWireNodeInfo(
    create(NodeInfoSchema, { peerId: FAKE_PEER_ID, natType: 2, pid: 7 }),
    undefined,
  );
  assert.equal(info.did, DID);
  assert.equal(info.nat, "private");
  assert.equal(info.pid, 7);
  assert.equal(
    fromWireNodeInfo(create(NodeInfoSchema, { peerId: "x", didKey: "given" }), undefined).did,
    "given",
  );
  const peer = fromWirePeer(
    create(PeerInfoSchema, { peerId: FAKE_PEER_ID, connectionType: 2, foundBy: "mdns" }),
  );
  assert.deepEqual(peer, {
    peerId: FAKE_PEER_ID,
    addresses: [],
    connection: "relay",
    foundBy: "mdns",
    did: DID,
  });
  assert.equal(fromWirePeer(create(PeerInfoSchema, { peerId: "no key in it" })).did, undefined);
});
