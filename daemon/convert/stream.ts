import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { StreamChunk, StreamEnd, StreamEndReason, StreamStart } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import {
  type StreamChunk as ProtoChunk,
  type StreamEnd as ProtoEnd,
  StreamEndReason as ProtoReason,
  type StreamEndSchema,
  type StreamStart as ProtoStart,
  StreamStartSchema,
} from "../../gen/agentanycast/v1/streaming_pb.ts";

/** A start as the engine has it. */
export function fromStreamStart(start: ProtoStart): StreamStart {
  const { taskId, artifactId, artifactName, mediaType, totalChunks, metadata } = start;
  const totalBytes = Number(start.totalBytes);
  return { kind: "start", taskId, artifactId, artifactName, mediaType, totalChunks, totalBytes, metadata };
}

export function toStreamStart({ kind: _, totalBytes, ...start }: StreamStart): ProtoStart {
  return create(StreamStartSchema, { ...start, totalBytes: BigInt(totalBytes) });
}

export function fromStreamChunk({ taskId, artifactId, sequence, data, isLast }: ProtoChunk): StreamChunk {
  return { kind: "chunk", taskId, artifactId, sequence, data, isLast };
}

/** An end as the engine has it. Throws `invalid_argument` for one without a reason. */
export function fromStreamEnd(end: ProtoEnd): StreamEnd {
  const { taskId, artifactId, sha256, errorMessage } = end;
  const totalBytes = Number(end.totalBytes);
  return { kind: "end", taskId, artifactId, reason: reasonOf(end.reason), sha256, totalBytes, errorMessage };
}

export function toStreamEnd(
  end: Omit<StreamEnd, "kind" | "taskId" | "artifactId"> & Partial<Pick<StreamEnd, "taskId" | "artifactId">>,
): MessageInitShape<typeof StreamEndSchema> {
  const { taskId = "", artifactId = "", sha256, errorMessage } = end;
  return {
    taskId,
    artifactId,
    reason: REASONS[end.reason],
    sha256,
    errorMessage,
    totalBytes: BigInt(end.totalBytes),
  };
}

const REASONS: Readonly<Record<StreamEndReason, ProtoReason>> = {
  complete: ProtoReason.COMPLETE,
  canceled: ProtoReason.CANCELED,
  error: ProtoReason.ERROR,
};

function reasonOf(reason: ProtoReason): StreamEndReason {
  switch (reason) {
    case ProtoReason.COMPLETE:
      return "complete";
    case ProtoReason.CANCELED:
      return "canceled";
    case ProtoReason.ERROR:
      return "error";
    case ProtoReason.UNSPECIFIED:
      break;
    default:
      reason satisfies never; // A number of a later version comes here, too.
  }
  throw new CodedError("invalid_argument", `A stream ended without a reason that is known: ${reason}`);
}
