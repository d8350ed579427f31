import { CodedError, type ErrorCode, errorMessage } from "../../../core/errors.ts";

/** What the reasons of A2A (its specification, section 5.4) mean to us. */
const BY_REASON: Readonly<Record<string, ErrorCode>> = {
  TASK_NOT_FOUND: "not_found",
  TASK_NOT_CANCELABLE: "failed_precondition",
  PUSH_NOTIFICATION_NOT_SUPPORTED: "unimplemented",
  UNSUPPORTED_OPERATION: "unimplemented",
  CONTENT_TYPE_NOT_SUPPORTED: "invalid_argument",
  INVALID_AGENT_RESPONSE: "internal",
  EXTENDED_AGENT_CARD_NOT_CONFIGURED: "unimplemented",
  EXTENSION_SUPPORT_REQUIRED: "unimplemented",
  VERSION_NOT_SUPPORTED: "unimplemented",
  INVALID_PARAMS: "invalid_argument",
};

const METHOD_NOT_FOUND = -32601;
const INTERNAL_ERROR = -32603;

/** Longest text of an agent that is repeated in an error, in characters. */
const MAX_TEXT = 500;

/** Whatever a call of the A2A library throws as a CodedError that {@link RemoteAgent} promises. */
export function toRemoteError(error: unknown, agent: string): CodedError {
  const coded = codedIn(error);
  if (coded !== undefined) return coded;
  const semantic = semanticIn(error);
  if (semantic === undefined) {
    return new CodedError("data_loss", `${agent} answered with something else than A2A: ${textOf(error)}`, {
      cause: error,
    });
  }
  const { reason, envelopeCode, statusCode } = semantic;
  return new CodedError(codeOf(semantic), `${agent} refused: ${textOf(semantic.error)}`, {
    cause: error,
    details: {
      reason,
      ...(envelopeCode !== undefined && { envelopeCode: String(envelopeCode) }),
      ...(statusCode !== undefined && { statusCode: String(statusCode) }),
    },
  });
}

/** Whether the other side does not know the call at all, which is why it has done nothing. */
export function isUnknownCall({ details }: CodedError): boolean {
  const { envelopeCode, statusCode, reason } = details;
  return Number(envelopeCode) === METHOD_NOT_FOUND || reason === "VERSION_NOT_SUPPORTED" ||
    /^(404|405|415|501)$/.test(statusCode ?? "");
}

interface Semantic {
  readonly error: Error;
  readonly reason: string;
  readonly envelopeCode: number | undefined;
  readonly statusCode: number | undefined;
}

function codeOf({ reason, envelopeCode, statusCode }: Semantic): ErrorCode {
  if (envelopeCode === METHOD_NOT_FOUND) return "unimplemented";
  const known = BY_REASON[reason];
  if (known !== undefined) return known;
  if (envelopeCode !== undefined && envelopeCode !== INTERNAL_ERROR) return "failed_precondition";
  if (statusCode === 404) return "not_found";
  if (statusCode === 405 || statusCode === 501) return "unimplemented";
  return statusCode !== undefined && statusCode < 500 ? "invalid_argument" : "internal";
}

/** Our own error, which the library may have wrapped. */
function codedIn(error: unknown): CodedError | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof CodedError) return one;
  return undefined;
}

/** The error of A2A, which the library may have wrapped. */
function semanticIn(error: unknown): Semantic | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (!("reason" in one) || typeof one.reason !== "string") continue;
    return {
      error: one,
      reason: one.reason,
      envelopeCode: "envelopeCode" in one && typeof one.envelopeCode === "number"
        ? one.envelopeCode
        : undefined,
      statusCode: "statusCode" in one && typeof one.statusCode === "number" ? one.statusCode : undefined,
    };
  }
  return undefined;
}

function textOf(error: unknown): string {
  const text = errorMessage(error);
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}
