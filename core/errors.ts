/** What went wrong, as a closed set with the meanings of the gRPC status codes. */
export const ERROR_CODES = [
  "cancelled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Extra facts about an error; never secrets. */
export interface CodedErrorOptions {
  /** What led to it. */
  cause?: unknown;
  /** By name. */
  details?: Readonly<Record<string, string>>;
}

/**
 * The one error class that callers meet. Branch on `code`, never on the message. The message says what could not be
 * done, the state found, and what to do about it.
 */
export class CodedError extends Error {
  static {
    this.prototype.name = "CodedError";
  }

  /** What to branch on. */
  readonly code: ErrorCode;
  /** Facts by name; empty when there are none. */
  readonly details: Readonly<Record<string, string>>;

  /** `message`: what could not be done, the state found, and what to do about it. */
  constructor(code: ErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The message of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `error` itself when it is coded, else an `internal` (or, for an abort, `cancelled`) one with it as the cause. */
export function toCodedError(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new CodedError("cancelled", "The call was cancelled", { cause: error });
  }
  if (error instanceof Error && error.name === "TimeoutError") {
    return new CodedError("deadline_exceeded", "The call took longer than its deadline", { cause: error });
  }
  return new CodedError("internal", "Internal error: see the log of the daemon", { cause: error });
}
