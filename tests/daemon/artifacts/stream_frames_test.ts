import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ReceiverMessage, SenderMessage } from "../../../a2a/streams/stream_ports.ts";
import { CodedError } from "../../../core/errors.ts";
import {
  decodeReceiverMessage,
  decodeSenderMessage,
  encodeReceiverMessage,
  encodeSenderMessage,
} from "../../../daemon/artifacts/stream_frames.ts";
import { ArtifactFrameSchema } from "../../../gen/agentanycast/lane/v1/artifact_stream_pb.ts";
import { startOf } from "../../a2a/stream_net.ts";

const isInvalid = (error: unknown) => error instanceof CodedError && error.code === "invalid_argument";
const streamId = "0123456789abcdef".repeat(2);
const encoded = (message: SenderMessage) => new Uint8Array(Buffer.concat(encodeSenderMessage(message)));

Deno.test("frames bring every message of a sender and of a receiver back", () => {
  const end = {
    reason: "complete",
    sha256: new Uint8Array([1, 2]),
    totalBytes: 3,
    errorMessage: "",
  } as const;
  const sent: SenderMessage[] = [
    { type: "open", start: { ...startOf(), totalBytes: 2 ** 40, metadata: { a: "b" } }, streamId },
    { type: "chunk", sequence: 7, data: new Uint8Array([1, 2, 3]), isLast: true },
    { type: "chunk", sequence: 0, data: new Uint8Array(300_000), isLast: false },
    { type: "end", end },
    { type: "end", end: { ...end, reason: "error", errorMessage: "why" } },
  ];
  for (const message of sent) assert.deepEqual(decodeSenderMessage(encoded(message)), message);
  const answered: ReceiverMessage[] = [
    { type: "accepted", nextSequence: 4, windowBytes: 8 },
    { type: "acknowledged", nextSequence: 0 },
    { type: "done" },
    { type: "refused", code: "data_loss", message: "not whole" },
  ];
  for (const message of answered) {
    assert.deepEqual(decodeReceiverMessage(encodeReceiverMessage(message)), message);
  }
});

Deno.test("frames that are empty, doubled, torn, too large for what they are or without a known end are refused", () => {
  const chunk = encoded({ type: "chunk", sequence: 0, data: new Uint8Array(9), isLast: false });
  const noReason = toBinary(
    ArtifactFrameSchema,
    create(ArtifactFrameSchema, { body: { case: "end", value: {} } }),
  );
  const metadata = { a: "x".repeat(70_000) };
  const large = encoded({ type: "open", start: { ...startOf(), metadata }, streamId });
  const shortId = encoded({ type: "open", start: startOf(), streamId: "00" });
  const bad = [
    new Uint8Array(),
    new Uint8Array([...chunk, ...chunk]),
    chunk.subarray(0, 5),
    noReason,
    large,
    shortId,
  ];
  for (const frame of bad) assert.throws(() => decodeSenderMessage(frame), isInvalid);
  assert.throws(() => decodeReceiverMessage(new Uint8Array()), isInvalid);
  assert.throws(() => decodeReceiverMessage(new Uint8Array(70_000)), isInvalid);
});
