import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Buffer } from "node:buffer";
import type { ReceiverMessage, SenderMessage } from "../../a2a/mod.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import { codeOfStatus, GRPC_STATUS } from "../../core/rpc.ts";
import {
  ArtifactAnswerSchema,
  ArtifactChunkSchema,
  ArtifactFrameSchema,
  ArtifactOpenSchema,
} from "../../gen/agentanycast/lane/v1/artifact_stream_pb.ts";
import { StreamEndSchema } from "../../gen/agentanycast/v1/streaming_pb.ts";
import { fromStreamEnd, fromStreamStart, toStreamEnd, toStreamStart } from "../convert/stream.ts";

/** Longest frame that is not a chunk: what is in it becomes objects. */
const MAX_SMALL_FRAME_BYTES = 64 * 1024;
/** Bytes of a stream id. */
const STREAM_ID_BYTES = 16;
/** Longest text of a refusal. */
const MAX_MESSAGE_CHARS = 2000;
const OPEN_FIELD = 1;
const CHUNK_FIELD = 2;
const END_FIELD = 3;
const READ_OPTIONS = { readUnknownFields: false };

type FrameBody = NonNullable<MessageInitShape<typeof ArtifactFrameSchema>["body"]>;
type AnswerBody = NonNullable<MessageInitShape<typeof ArtifactAnswerSchema>["body"]>;

/** A frame in parts: the bytes of a chunk are not copied. */
export function encodeSenderMessage(message: SenderMessage): readonly Uint8Array[] {
  if (message.type === "chunk") return encodeChunk(message);
  return [toBinary(ArtifactFrameSchema, create(ArtifactFrameSchema, { body: toFrameBody(message) }))];
}

/** Throws `invalid_argument` for bytes that are no frame. */
export function decodeSenderMessage(frame: Uint8Array): SenderMessage {
  return decoding(() => {
    const { field, bytes } = onlyField(frame);
    if (field === CHUNK_FIELD) {
      const { sequence, data, isLast } = fromBinary(ArtifactChunkSchema, bytes, READ_OPTIONS);
      return { type: "chunk", sequence, data, isLast };
    }
    checkSmall(bytes);
    if (field === END_FIELD) {
      const { reason, sha256, totalBytes, errorMessage } = fromStreamEnd(
        fromBinary(StreamEndSchema, bytes, READ_OPTIONS),
      );
      const shortened = errorMessage.slice(0, MAX_MESSAGE_CHARS);
      return { type: "end", end: { reason, sha256, totalBytes, errorMessage: shortened } };
    }
    if (field !== OPEN_FIELD) throw new Error(`field ${field} is not known`);
    const { start, streamId } = fromBinary(ArtifactOpenSchema, bytes, READ_OPTIONS);
    if (start === undefined || streamId.length !== STREAM_ID_BYTES) {
      throw new Error(`an opening needs a start and an id of ${STREAM_ID_BYTES} bytes`);
    }
    return { type: "open", start: fromStreamStart(start), streamId: Buffer.from(streamId).toString("hex") };
  });
}

export function encodeReceiverMessage(message: ReceiverMessage): Uint8Array {
  return toBinary(ArtifactAnswerSchema, create(ArtifactAnswerSchema, { body: toAnswerBody(message) }));
}

/** Throws `invalid_argument` for bytes that are no frame. */
export function decodeReceiverMessage(frame: Uint8Array): ReceiverMessage {
  return decoding(() => {
    checkSmall(frame);
    const { body } = fromBinary(ArtifactAnswerSchema, frame, READ_OPTIONS);
    switch (body.case) {
      case "accepted": {
        const { nextSequence, windowBytes } = body.value;
        return { type: "accepted", nextSequence, windowBytes: Number(windowBytes) };
      }
      case "acknowledged":
        return { type: "acknowledged", nextSequence: body.value };
      case "done":
        return { type: "done" };
      case "refused": {
        const message = body.value.message.slice(0, MAX_MESSAGE_CHARS);
        return { type: "refused", code: codeOfStatus(body.value.code), message };
      }
      case undefined:
        throw new Error("it is empty");
      default:
        return body satisfies never;
    }
  });
}

/** An `ArtifactFrame` with a chunk, the field with its bytes last. */
function encodeChunk({ sequence, data, isLast }: Extract<SenderMessage, { type: "chunk" }>): Uint8Array[] {
  const chunk = new BinaryWriter().tag(1, WireType.Varint).uint32(sequence);
  chunk.tag(3, WireType.Varint).bool(isLast).tag(2, WireType.LengthDelimited).uint32(data.length);
  const chunkHead = chunk.finish();
  const frame = new BinaryWriter().tag(CHUNK_FIELD, WireType.LengthDelimited);
  return [frame.uint32(chunkHead.length + data.length).raw(chunkHead).finish(), data];
}

function toFrameBody(message: Exclude<SenderMessage, { type: "chunk" }>): FrameBody {
  switch (message.type) {
    case "open": {
      const streamId = new Uint8Array(Buffer.from(message.streamId, "hex"));
      return { case: "open", value: { start: toStreamStart(message.start), streamId } };
    }
    case "end":
      return { case: "end", value: toStreamEnd(message.end) };
    default:
      return message satisfies never;
  }
}

function toAnswerBody(message: ReceiverMessage): AnswerBody {
  switch (message.type) {
    case "accepted": {
      const { nextSequence, windowBytes } = message;
      return { case: "accepted", value: { nextSequence, windowBytes: BigInt(windowBytes) } };
    }
    case "acknowledged":
      return { case: "acknowledged", value: message.nextSequence };
    case "done":
      return { case: "done", value: {} };
    case "refused": {
      const text = message.message.slice(0, MAX_MESSAGE_CHARS).toWellFormed();
      return { case: "refused", value: { code: GRPC_STATUS[message.code], message: text } };
    }
    default:
      return message satisfies never;
  }
}

/** The one field of a frame, before anything is made of it. */
function onlyField(frame: Uint8Array): { field: number; bytes: Uint8Array } {
  const reader = new BinaryReader(frame);
  const [field, wireType] = reader.tag();
  if (wireType !== WireType.LengthDelimited) throw new Error(`field ${field} has the wire type ${wireType}`);
  const bytes = reader.bytes();
  if (reader.pos !== reader.len) throw new Error("it has more than one field");
  return { field, bytes };
}

function checkSmall(bytes: Uint8Array): void {
  if (bytes.length <= MAX_SMALL_FRAME_BYTES) return;
  throw new Error(`it has ${bytes.length} bytes, ${MAX_SMALL_FRAME_BYTES} are taken`);
}

function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    const text = `A frame of an artifact's stream cannot be read: ${errorMessage(cause)}`;
    throw new CodedError("invalid_argument", text, { cause });
  }
}
