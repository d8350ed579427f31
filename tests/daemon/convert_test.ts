import assert from "node:assert/strict";
import type { AgentCard, Envelope, EnvelopeBody, Message, Task } from "../../a2a/mod.ts";
import { TASK_STATUSES } from "../../a2a/mod.ts";
import { decodeCard, encodeCard } from "../../daemon/convert/card.ts";
import { decodeEnvelope, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { fromTask, toTask } from "../../daemon/convert/task.ts";

const message: Message = {
  messageId: "m1",
  role: "agent",
  createdAtMs: 1_700_000_000_123,
  parts: [
    { content: { kind: "text", text: "grüß ☃" }, mediaType: "text/plain", metadata: { lang: "de" } },
    {
      content: { kind: "data", data: { a: [1, { b: null }], ok: true } },
      mediaType: "application/json",
      metadata: {},
    },
    { content: { kind: "url", url: "https://x.test/f", filename: "f" }, mediaType: "", metadata: {} },
    {
      content: { kind: "raw", data: new Uint8Array([0, 255, 7]), filename: "r.bin" },
      mediaType: "",
      metadata: {},
    },
    { content: { kind: "none" }, mediaType: "", metadata: {} },
  ],
};
const artifact = { artifactId: "a1", name: "result", parts: message.parts };

const bodies: EnvelopeBody[] = [
  { type: "send_task", taskId: "t", contextId: "c", message, targetSkillId: "s", metadata: { k: "v" } },
  { type: "send_task", taskId: "t", contextId: "", message: undefined, targetSkillId: "", metadata: {} },
  ...TASK_STATUSES.map((status) => ({ type: "status_update", taskId: "t", status, message }) as const),
  { type: "complete", taskId: "t", artifacts: [artifact], message: undefined },
  { type: "fail", taskId: "t", errorMessage: "why", message },
  { type: "cancel", taskId: "t" },
  { type: "ack", acknowledgedEnvelopeId: "x1" },
];

Deno.test("decodeEnvelope() gives back what encodeEnvelope() took, for every kind", () => {
  for (const body of bodies) {
    const envelope: Envelope = { envelopeId: "e1", timestampMs: 1_700_000_000_000, body };
    assert.deepEqual(decodeEnvelope(encodeEnvelope(envelope)), envelope);
  }
});

Deno.test("encodeEnvelope() gives the bytes of the existing network", () => {
  const hex = (body: EnvelopeBody, envelopeId: string) =>
    encodeEnvelope({ envelopeId, timestampMs: 0, body }).toHex();
  assert.equal(hex({ type: "ack", acknowledgedEnvelopeId: "x1" }, "e1"), "0a02653110088a01040a027831");
  const hi: Message = {
    messageId: "",
    role: "user",
    createdAtMs: 0,
    parts: [{ content: { kind: "text", text: "hi" }, mediaType: "", metadata: {} }],
  };
  assert.equal(
    hex(
      { type: "send_task", taskId: "t1", contextId: "", message: hi, targetSkillId: "echo", metadata: {} },
      "e2",
    ),
    "0a026532100152160a0274311a0a10011a060a040a02686922046563686f",
  );
});

Deno.test("decodeEnvelope() tells an unknown kind from bytes that are no envelope", () => {
  assert.equal(decodeEnvelope(Uint8Array.fromHex("0a02653110 06".replace(" ", ""))), undefined);
  assert.throws(() => decodeEnvelope(new Uint8Array([0xff, 0xff])), { code: "invalid_argument" });
});

Deno.test("decodeEnvelope() refuses a status it does not know", () => {
  const unset = Uint8Array.fromHex("0a0265315a030a0174");
  assert.throws(() => decodeEnvelope(unset), { code: "invalid_argument", message: /status/ });
});

Deno.test("fromTask() gives back what toTask() took", () => {
  const task: Task = {
    taskId: "t",
    contextId: "c",
    direction: "inbound",
    peerId: "p",
    status: "failed",
    targetSkillId: "s",
    messages: [message],
    artifacts: [artifact],
    metadata: { k: "v" },
    errorMessage: "why",
    createdAtMs: 1,
    updatedAtMs: 2,
  };
  assert.deepEqual(fromTask(toTask(task, "me")), task);
  assert.equal(toTask(task, "me").originatorPeerId, "p");
  assert.equal(toTask({ ...task, direction: "outbound" }, "me").originatorPeerId, "me");
});

Deno.test("decodeCard() gives back what encodeCard() took", () => {
  const card: AgentCard = {
    name: "n",
    description: "d",
    version: "1",
    protocolVersion: "a2a/0.3",
    skills: [{ id: "echo", name: "Echo", description: "", tags: ["x"], inputSchema: "{}", outputSchema: "" }],
    peerId: "p",
    supportedTransports: ["tcp"],
    relayAddresses: [],
    didKey: "did:key:z",
    didWeb: "",
    didDns: "",
    verifiableCredentials: ["{}"],
  };
  assert.deepEqual(decodeCard(encodeCard(card)), card);
});
