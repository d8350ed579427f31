import assert from "node:assert/strict";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { AgentCard, Envelope, EnvelopeBody, Message, PartContent, Task } from "../../a2a/mod.ts";
import { TASK_STATUSES } from "../../a2a/mod.ts";
import { decodeCard, encodeCard } from "../../daemon/convert/card.ts";
import { decodeEnvelope, encodeAck, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { fromTask, toTask } from "../../daemon/convert/task.ts";
import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";

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
    {
      content: { kind: "text", text: "named" },
      mediaType: "text/plain",
      metadata: { weight: 0.5, nested: { deep: [null, true] }, lang: "de" },
      filename: "note.txt",
    },
  ],
  metadata: { trace: { hops: [1, 2] } },
  extensions: ["https://ext.test/v1"],
  referenceTaskIds: ["t0"],
};
const NO_TRACE = { traceParent: "", traceState: "" };
const artifact = {
  artifactId: "a1",
  name: "result",
  description: "what came of it",
  parts: message.parts,
  metadata: { score: 1 },
  extensions: ["https://ext.test/v1"],
};

function sendTask(...contents: PartContent[]): Envelope {
  const parts = contents.map((content) => ({ content, mediaType: "", metadata: {} }));
  const body: EnvelopeBody = {
    type: "send_task",
    taskId: "t",
    contextId: "",
    message: { messageId: "", role: "user", createdAtMs: 0, parts },
    targetSkillId: "",
    metadata: {},
    deadlineMs: 0,
  };
  return { envelopeId: "e", timestampMs: 0, trace: NO_TRACE, body };
}

/** The envelope that the bytes are. */
function received(bytes: Uint8Array): Envelope | undefined {
  const decoded = decodeEnvelope(bytes);
  return decoded?.kind === "envelope" ? decoded.envelope : undefined;
}

const bodies: EnvelopeBody[] = [
  {
    type: "send_task",
    taskId: "t",
    contextId: "c",
    message,
    targetSkillId: "s",
    metadata: { k: "v" },
    deadlineMs: 1_800_000_000_000,
  },
  {
    type: "send_task",
    taskId: "t",
    contextId: "",
    message: undefined,
    targetSkillId: "",
    metadata: {},
    deadlineMs: 0,
  },
  ...TASK_STATUSES.map((status) => ({ type: "status_update", taskId: "t", status, message }) as const),
  { type: "complete", taskId: "t", artifacts: [artifact], message: undefined },
  { type: "fail", taskId: "t", errorMessage: "why", message },
  { type: "cancel", taskId: "t", status: "canceled", reason: "" },
  { type: "cancel", taskId: "t", status: "failed", reason: "too late" },
  { type: "get_task", taskId: "t" },
  { type: "get_task_response", taskId: "t", task: undefined },
  {
    type: "get_task_response",
    taskId: "t",
    task: { status: "completed", messages: [message], artifacts: [artifact], errorMessage: "" },
  },
];

Deno.test("decodeEnvelope() gives back what encodeEnvelope() took, for every kind", () => {
  for (const body of bodies) {
    const trace = {
      traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      traceState: "a=1",
    };
    const envelope: Envelope = { envelopeId: "e1", timestampMs: 1_700_000_000_000, trace, body };
    assert.deepEqual(received(encodeEnvelope(envelope)), envelope);
  }
});

Deno.test("encodeEnvelope() gives the bytes of the existing network", () => {
  const hex = (body: EnvelopeBody, envelopeId: string) =>
    encodeEnvelope({ envelopeId, timestampMs: 0, trace: NO_TRACE, body }).toHex();
  assert.equal(
    hex({ type: "cancel", taskId: "t1", status: "canceled", reason: "" }, "e1"),
    "0a026531100572040a027431",
  );
  const hi: Message = {
    messageId: "",
    role: "user",
    createdAtMs: 0,
    parts: [{ content: { kind: "text", text: "hi" }, mediaType: "", metadata: {} }],
  };
  assert.equal(
    hex(
      {
        type: "send_task",
        taskId: "t1",
        contextId: "",
        message: hi,
        targetSkillId: "echo",
        metadata: {},
        deadlineMs: 0,
      },
      "e2",
    ),
    "0a026532100152160a0274311a0a10011a060a040a02686922046563686f",
  );
});

Deno.test("decodeEnvelope() knows an acknowledgement, and encodeAck() makes one", () => {
  const acknowledged = { kind: "ack", acknowledgedEnvelopeId: "x1" };
  assert.deepEqual(decodeEnvelope(Uint8Array.fromHex("0a02653110088a01040a027831")), acknowledged);
  assert.deepEqual(decodeEnvelope(encodeAck("x1")), acknowledged);
});

Deno.test("decodeEnvelope() tells an unknown kind from bytes that are no envelope", () => {
  assert.equal(decodeEnvelope(Uint8Array.fromHex("0a02653110 06".replace(" ", ""))), undefined);
  assert.throws(() => decodeEnvelope(new Uint8Array([0xff, 0xff])), { code: "invalid_argument" });
});

Deno.test("decodeEnvelope() refuses a status it does not know", () => {
  const unset = Uint8Array.fromHex("0a0265315a030a0174");
  assert.throws(() => decodeEnvelope(unset), { code: "invalid_argument", message: /status/ });
});

Deno.test("encodeEnvelope() fills a frame to its last byte and refuses one more, with both sizes", () => {
  const raw = (byteLength: number) =>
    sendTask({ kind: "raw", data: new Uint8Array(byteLength), filename: "" });
  const overhead = encodeEnvelope(raw(MAX_FRAME_BYTES / 2)).length - MAX_FRAME_BYTES / 2;
  const largest = encodeEnvelope(raw(MAX_FRAME_BYTES - overhead));
  assert.equal(largest.length, MAX_FRAME_BYTES);
  assert.equal(received(largest)?.body.type, "send_task");
  assert.throws(() => encodeEnvelope(raw(MAX_FRAME_BYTES - overhead + 1)), {
    code: "resource_exhausted",
    message: /16777217 bytes.*16777216/,
  });
});

Deno.test("encodeEnvelope() takes data up to the depth that decodeEnvelope() takes and refuses more", () => {
  const nested = (levels: number) => {
    let data: Record<string, unknown> = {};
    for (let i = 1; i < levels; i++) data = { data };
    return sendTask({ kind: "data", data });
  };
  assert.deepEqual(received(encodeEnvelope(nested(30))), nested(30));
  assert.throws(() => encodeEnvelope(nested(31)), { code: "invalid_argument", message: /deeper than 64/ });
});

Deno.test("encodeEnvelope() refuses data with more fields than decodeEnvelope() takes", () => {
  const list = (length: number) => sendTask({ kind: "data", data: { list: Array(length).fill(0) } });
  assert.deepEqual(received(encodeEnvelope(list(99_000))), list(99_000));
  assert.throws(() => encodeEnvelope(list(100_000)), {
    code: "invalid_argument",
    message: /more than 200000 fields/,
  });
});

Deno.test("decodeEnvelope() refuses a frame of eight million empty parts without building them", () => {
  const emptyPart = [0x1a, 0];
  const message = new Uint8Array(MAX_FRAME_BYTES - 16);
  for (let i = 0; i < message.length; i++) message[i] = emptyPart[i % 2]!;
  const payload = new BinaryWriter().tag(3, WireType.LengthDelimited).bytes(message).finish();
  const frame = new BinaryWriter().tag(10, WireType.LengthDelimited).bytes(payload).finish();
  assert.ok(frame.length <= MAX_FRAME_BYTES);
  const before = Deno.memoryUsage().heapUsed;
  assert.throws(() => decodeEnvelope(frame), {
    code: "invalid_argument",
    message: /more than 200000 fields/,
  });
  assert.ok(Deno.memoryUsage().heapUsed - before < 64 * 1024 * 1024);
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
    generation: 7,
    deadlineMs: 3,
    trace: { traceParent: "p", traceState: "s" },
    cancelRequested: true,
    createdAtMs: 1,
    updatedAtMs: 2,
  };
  assert.deepEqual(fromTask(toTask(task, "me")), task);
  assert.equal(toTask(task, "me").originatorPeerId, "p");
  assert.equal(toTask({ ...task, direction: "outbound" }, "me").originatorPeerId, "me");
});

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
  signedAtMs: 0,
};

Deno.test("decodeCard() gives back what encodeCard() took", () => {
  assert.deepEqual(decodeCard(encodeCard(card)), card);
});

Deno.test("encodeCard() and decodeCard() refuse more than 2000 fields", () => {
  const tags = (length: number) => ({
    ...card,
    skills: [{ ...card.skills[0]!, tags: Array(length).fill("x") }],
  });
  assert.equal(decodeCard(encodeCard(tags(1980))).skills[0]?.tags.length, 1980);
  const refusal = { code: "invalid_argument", message: /more than 2000 fields/ };
  assert.throws(() => encodeCard(tags(2000)), refusal);
  const skills = new Uint8Array(4002).map((_, i) => i % 2 === 0 ? 0x2a : 0);
  assert.equal(decodeCard(skills.subarray(2)).skills.length, 2000);
  assert.throws(() => decodeCard(skills), refusal);
});
