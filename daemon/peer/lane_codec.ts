import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Answer } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/agentanycast/lane/v1/lane_pb.ts";
import { encodeMessage } from "../../rpc/codecs.ts";
import { decodeWithin } from "../../rpc/shape.ts";

/** Longest reason that travels, in UTF-16 units. */
const MAX_REASON_LENGTH = 500;
/** Fields of an item of a batch, and those of a frame beside its items; the rest is room for fields of later versions. */
const FIELDS_PER_ITEM = 8;
const FIELDS_PER_FRAME = 64;

/** What a side of a lane takes. */
export interface LaneLimits {
  readonly maxUnansweredEnvelopes: number;
  readonly maxUnansweredBytes: number;
  readonly maxEnvelopeBytes: number;
}

/** An envelope and its place on the lane, from 1. */
export interface NumberedEnvelope {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** The answer to the envelope of that number. */
export interface NumberedAnswer {
  readonly number: number;
  readonly answer: Answer;
}

/** What a frame of a lane says. */
export type LaneFrame =
  | { readonly kind: "hello"; readonly limits: LaneLimits }
  | { readonly kind: "envelopes"; readonly envelopes: readonly NumberedEnvelope[] }
  | { readonly kind: "answers"; readonly answers: readonly NumberedAnswer[] }
  | { readonly kind: "ping" | "pong"; readonly id: bigint }
  /** Of a version after this one; to be ignored. */
  | { readonly kind: "unknown" };

/** The bytes of a frame. */
export function encodeLaneFrame(frame: Exclude<LaneFrame, { kind: "unknown" }>): Uint8Array {
  return encodeMessage(pb.LaneFrameSchema, { content: toContent(frame) });
}

/**
 * What a frame says.
 * @throws CodedError `invalid_argument` for bytes that are no lane frame, or one of more than `maxItems` envelopes or answers.
 */
export function decodeLaneFrame(bytes: Uint8Array, { maxItems }: { maxItems: number }): LaneFrame {
  const limits = { maxFields: maxItems * FIELDS_PER_ITEM + FIELDS_PER_FRAME, maxDepth: 8 };
  const { content } = decodeWithin(pb.LaneFrameSchema, bytes, limits);
  switch (content.case) {
    case "hello":
      return { kind: "hello", limits: fromHello(content.value) };
    case "envelopes":
      return { kind: "envelopes", envelopes: content.value.envelopes.map(fromEnvelope) };
    case "answers":
      return { kind: "answers", answers: content.value.answers.map(fromAnswer) };
    case "ping":
    case "pong":
      return { kind: content.case, id: content.value.id };
    case undefined:
      return { kind: "unknown" };
    default:
      return content satisfies never;
  }
}

function toContent(
  frame: Exclude<LaneFrame, { kind: "unknown" }>,
): NonNullable<MessageInitShape<typeof pb.LaneFrameSchema>["content"]> {
  switch (frame.kind) {
    case "hello":
      return { case: "hello", value: toHello(frame.limits) };
    case "envelopes": {
      const envelopes = frame.envelopes.map(({ number, bytes }) => ({
        number: BigInt(number),
        envelope: bytes,
      }));
      return { case: "envelopes", value: { envelopes } };
    }
    case "answers":
      return { case: "answers", value: { answers: frame.answers.map(toAnswer) } };
    case "ping":
      return { case: "ping", value: { id: frame.id } };
    case "pong":
      return { case: "pong", value: { id: frame.id } };
    default:
      return frame satisfies never;
  }
}

function toHello(limits: LaneLimits): MessageInitShape<typeof pb.HelloSchema> {
  return {
    maxUnansweredEnvelopes: limits.maxUnansweredEnvelopes,
    maxUnansweredBytes: BigInt(limits.maxUnansweredBytes),
    maxEnvelopeBytes: BigInt(limits.maxEnvelopeBytes),
  };
}

function fromHello(hello: pb.Hello): LaneLimits {
  return {
    maxUnansweredEnvelopes: hello.maxUnansweredEnvelopes,
    maxUnansweredBytes: Number(hello.maxUnansweredBytes),
    maxEnvelopeBytes: Number(hello.maxEnvelopeBytes),
  };
}

function fromEnvelope({ number, envelope }: pb.NumberedEnvelope): NumberedEnvelope {
  return { number: Number(number), bytes: envelope };
}

const OUTCOMES = {
  taken: pb.Outcome.TAKEN,
  refused: pb.Outcome.REFUSED,
  busy: pb.Outcome.BUSY,
} satisfies Record<Answer["outcome"], pb.Outcome>;

function toAnswer({ number, answer }: NumberedAnswer): MessageInitShape<typeof pb.AnswerSchema> {
  const reason = answer.outcome === "taken" ? "" : answer.reason.slice(0, MAX_REASON_LENGTH);
  return { number: BigInt(number), outcome: OUTCOMES[answer.outcome], reason };
}

function fromAnswer({ number, outcome, reason }: pb.Answer): NumberedAnswer {
  return { number: Number(number), answer: toOutcome(outcome, reason) };
}

function toOutcome(outcome: pb.Outcome, reason: string): Answer {
  switch (outcome) {
    case pb.Outcome.TAKEN:
      return { outcome: "taken" };
    case pb.Outcome.REFUSED:
      return { outcome: "refused", reason };
    case pb.Outcome.BUSY:
      return { outcome: "busy", reason };
    default:
      throw new CodedError("invalid_argument", `Could not read an answer: outcome ${outcome} is not known`);
  }
}
