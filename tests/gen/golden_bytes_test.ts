import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  A2AEnvelopeSchema,
  EnvelopeType,
  MessageRole,
  SendTaskPayloadSchema,
} from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { decodeMessage, encodeMessage } from "../../rpc/codecs.ts";

/** What other implementations put on the wire: a length of 4 bytes, big-endian, then the envelope. */
const ACK_FRAME = "0000000d" + "0a02653110088a01040a027831";
const SEND_TASK_FRAME = "0000001e" + "0a026532100152160a0274311a0a10011a060a040a02686922046563686f";

const ack: MessageInitShape<typeof A2AEnvelopeSchema> = {
  envelopeId: "e1",
  type: EnvelopeType.ACK,
  payload: { case: "ack", value: { acknowledgedEnvelopeId: "x1" } },
};
const task: MessageInitShape<typeof SendTaskPayloadSchema> = {
  taskId: "t1",
  targetSkillId: "echo",
  message: {
    role: MessageRole.USER,
    parts: [{ content: { case: "textPart", value: { text: "hi" } } }],
  },
};
const sendTask: MessageInitShape<typeof A2AEnvelopeSchema> = {
  envelopeId: "e2",
  type: EnvelopeType.SEND_TASK,
  payload: { case: "sendTask", value: task },
};

function frameHex(envelope: MessageInitShape<typeof A2AEnvelopeSchema>): string {
  const body = encodeMessage(A2AEnvelopeSchema, envelope);
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame.toHex();
}

function fromFrameHex(hex: string) {
  return decodeMessage(A2AEnvelopeSchema, Uint8Array.fromHex(hex).subarray(4));
}

Deno.test("A2AEnvelope is written byte for byte as others write it", () => {
  assert.equal(frameHex(ack), ACK_FRAME);
  assert.equal(frameHex(sendTask), SEND_TASK_FRAME);
});

Deno.test("A2AEnvelope is read as others wrote it", () => {
  assert.deepEqual(fromFrameHex(ACK_FRAME), create(A2AEnvelopeSchema, ack));
  assert.deepEqual(fromFrameHex(SEND_TASK_FRAME), create(A2AEnvelopeSchema, sendTask));
});

Deno.test("SendTaskPayload with a field of a later version reads as without it", () => {
  const bytes = encodeMessage(SendTaskPayloadSchema, task);
  const withUnknown = new Uint8Array([...bytes, 0xfa, 0x3f, 0x01, 0x78]); // field 1023: "x"
  assert.deepEqual(
    decodeMessage(SendTaskPayloadSchema, withUnknown),
    decodeMessage(SendTaskPayloadSchema, bytes),
  );
});

Deno.test("SendTaskPayload without our metadata field reads as an empty map", () => {
  const decoded = fromFrameHex(SEND_TASK_FRAME);
  assert(decoded.payload.case === "sendTask");
  assert.deepEqual(decoded.payload.value.metadata, {});
});
