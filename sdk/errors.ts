import {
  CodedError,
  type CodedErrorOptions,
  type ErrorCode,
  errorMessage,
  toCodedError,
} from "../core/errors.ts";
import type { Message, Task } from "./model.ts";

/** Everything this package throws for reasons outside the program. Branch on `code` or on the class, never on the text. */
export class AgentAnycastError extends CodedError {
  override name = "AgentAnycastError";
}

/** The daemon cannot be used. */
export class DaemonError extends AgentAnycastError {
  override name = "DaemonError";
}

/** No daemon program was found (`not_found`). */
export class DaemonNotFoundError extends DaemonError {
  override name = "DaemonNotFoundError";
  constructor(message: string) {
    super("not_found", message);
  }
}

/**
 * The daemon's program could not be downloaded: `unavailable` (no network), `not_found` (no such release), `data_loss` (its
 * signature or checksum is wrong, and it was not run), `unimplemented` (not released for this platform).
 */
export class DaemonDownloadError extends DaemonError {
  override name = "DaemonDownloadError";
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(code, message, options);
  }
}

/** The daemon was started and did not come up (`failed_precondition`); the message ends with the last lines of its log. */
export class DaemonStartError extends DaemonError {
  override name = "DaemonStartError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("failed_precondition", message, options);
  }
}

/** Nobody answers at the daemon's address (`unavailable`). */
export class DaemonConnectionError extends DaemonError {
  override name = "DaemonConnectionError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("unavailable", message, options);
  }
}

/** The peer is unknown or cannot be reached (`not_found`). */
export class PeerNotFoundError extends AgentAnycastError {
  override name = "PeerNotFoundError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** No agent with the skill was found (`not_found`). */
export class SkillNotFoundError extends AgentAnycastError {
  override name = "SkillNotFoundError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** The peer has no card, or it has not arrived (`not_found`). */
export class CardNotAvailableError extends AgentAnycastError {
  override name = "CardNotAvailableError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** Something is wrong with one task. */
export class TaskError extends AgentAnycastError {
  override name = "TaskError";
}

/** The node does not know the task (`not_found`). */
export class TaskNotFoundError extends TaskError {
  override name = "TaskNotFoundError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** The task did not finish in the time given (`deadline_exceeded`). It goes on. */
export class TaskTimeoutError extends TaskError {
  override name = "TaskTimeoutError";
  constructor(message: string) {
    super("deadline_exceeded", message);
  }
}

/** The agent could not do the task (`aborted`); the message is the agent's reason. */
export class TaskFailedError extends TaskError {
  override name = "TaskFailedError";
  constructor(message: string, readonly task: Task) {
    super("aborted", message);
  }
}

/** The task was cancelled (`cancelled`). */
export class TaskCanceledError extends TaskError {
  override name = "TaskCanceledError";
  constructor(message: string, readonly task: Task) {
    super("cancelled", message);
  }
}

/** The agent did not take the task (`permission_denied`); the message is the agent's reason. */
export class TaskRejectedError extends TaskError {
  override name = "TaskRejectedError";
  constructor(message: string, readonly task: Task) {
    super("permission_denied", message);
  }
}

/** The agent asks something before it goes on (`failed_precondition`); the message is its question. */
export class TaskInputRequiredError extends TaskError {
  override name = "TaskInputRequiredError";
  constructor(message: string, readonly task: Task, readonly question?: Message) {
    super("failed_precondition", message);
  }
}

/**
 * A streamed artifact is not whole: `data_loss` (its bytes are not those that were sent), `cancelled` (called off), `aborted`
 * (the agent gave it up or started it anew, or its task ended before it), or why it could not be sent.
 */
export class TaskStreamError extends TaskError {
  override name = "TaskStreamError";
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(code, message, options);
  }
}

/** `error` as an error of this package: itself when it is one, else one with the same code and text. */
export function toAgentAnycastError(error: unknown): AgentAnycastError {
  if (error instanceof AgentAnycastError) return error;
  const { code } = toCodedError(error);
  return new AgentAnycastError(code, errorMessage(error), { cause: error });
}
