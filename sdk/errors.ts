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
  static {
    this.prototype.name = "AgentAnycastError";
  }
}

/** The daemon cannot be used. */
export class DaemonError extends AgentAnycastError {
  static {
    this.prototype.name = "DaemonError";
  }
}

/** No daemon program was found (`not_found`). */
export class DaemonNotFoundError extends DaemonError {
  static {
    this.prototype.name = "DaemonNotFoundError";
  }

  /** `message`: where it was looked for and what to do. */
  constructor(message: string) {
    super("not_found", message);
  }
}

/**
 * The daemon's program could not be downloaded: `unavailable` (no network), `not_found` (no such release), `data_loss` (its
 * signature or checksum is wrong, and it was not run), `unimplemented` (not released for this platform), `failed_precondition` (no
 * key that it could be checked by, or no folder to keep it in), `resource_exhausted` (a full disk).
 */
export class DaemonDownloadError extends DaemonError {
  static {
    this.prototype.name = "DaemonDownloadError";
  }

  /** `code`: see above; `message`: what could not be had, and what to do. */
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(code, message, options);
  }
}

/** The daemon was started and did not come up (`failed_precondition`); the message ends with the last lines of its log. */
export class DaemonStartError extends DaemonError {
  static {
    this.prototype.name = "DaemonStartError";
  }

  /** `message`: how it ended, with the last lines of its log. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("failed_precondition", message, options);
  }
}

/** Nobody answers at the daemon's address (`unavailable`). */
export class DaemonConnectionError extends DaemonError {
  static {
    this.prototype.name = "DaemonConnectionError";
  }

  /** `message`: where nobody answers. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("unavailable", message, options);
  }
}

/** The peer is unknown or cannot be reached (`not_found`). */
export class PeerNotFoundError extends AgentAnycastError {
  static {
    this.prototype.name = "PeerNotFoundError";
  }

  /** `message`: which peer, and why. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** No agent with the skill was found (`not_found`). */
export class SkillNotFoundError extends AgentAnycastError {
  static {
    this.prototype.name = "SkillNotFoundError";
  }

  /** `message`: which skill, and why. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** The peer has no card, or it has not arrived (`not_found`). */
export class CardNotAvailableError extends AgentAnycastError {
  static {
    this.prototype.name = "CardNotAvailableError";
  }

  /** `message`: whose card, and why. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** Something is wrong with one task. */
export class TaskError extends AgentAnycastError {
  static {
    this.prototype.name = "TaskError";
  }
}

/** The node does not know the task (`not_found`). */
export class TaskNotFoundError extends TaskError {
  static {
    this.prototype.name = "TaskNotFoundError";
  }

  /** `message`: which task. */
  constructor(message: string, options?: CodedErrorOptions) {
    super("not_found", message, options);
  }
}

/** The task did not finish in the time given (`deadline_exceeded`). It goes on. */
export class TaskTimeoutError extends TaskError {
  static {
    this.prototype.name = "TaskTimeoutError";
  }

  /** `message`: which task, and how long was waited for it. */
  constructor(message: string) {
    super("deadline_exceeded", message);
  }
}

/** The agent could not do the task (`aborted`); the message is the agent's reason. */
export class TaskFailedError extends TaskError {
  static {
    this.prototype.name = "TaskFailedError";
  }

  /** `message`: the agent's reason; `task`: as it has ended. */
  constructor(message: string, readonly task: Task) {
    super("aborted", message);
  }
}

/** The task was cancelled (`cancelled`). */
export class TaskCanceledError extends TaskError {
  static {
    this.prototype.name = "TaskCanceledError";
  }

  /** `message`: why, when that is known; `task`: as it has ended. */
  constructor(message: string, readonly task: Task) {
    super("cancelled", message);
  }
}

/** The agent did not take the task (`permission_denied`); the message is the agent's reason. */
export class TaskRejectedError extends TaskError {
  static {
    this.prototype.name = "TaskRejectedError";
  }

  /** `message`: the agent's reason; `task`: as it has ended. */
  constructor(message: string, readonly task: Task) {
    super("permission_denied", message);
  }
}

/** The agent asks something before it goes on (`failed_precondition`); the message is its question. */
export class TaskInputRequiredError extends TaskError {
  static {
    this.prototype.name = "TaskInputRequiredError";
  }

  /** `message`: the question in words; `task`: as it waits; `question`: the whole of it, when there was more. */
  constructor(message: string, readonly task: Task, readonly question?: Message) {
    super("failed_precondition", message);
  }
}

/**
 * A streamed artifact is not whole: `data_loss` (its bytes are not those that were sent), `cancelled` (called off), `aborted`
 * (the agent gave it up or started it anew, or its task ended before it), or why it could not be sent.
 */
export class TaskStreamError extends TaskError {
  static {
    this.prototype.name = "TaskStreamError";
  }

  /** `code`: see above; `message`: which artifact, and why. */
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(code, message, options);
  }
}

/** `error` as an error of this package: itself when it is one, else one with the same code and text. */
export function toAgentAnycastError(error: unknown): AgentAnycastError {
  if (error instanceof AgentAnycastError) return error;
  const { code } = toCodedError(error);
  return new AgentAnycastError(
    code,
    errorMessage(error),
    isPlain(error) ? inPlaceOf(error) : { cause: error },
  );
}

/** What an error says besides its code and text, for one that takes its place: nobody wants to read the same text twice. */
export function inPlaceOf({ cause, details }: CodedError): CodedErrorOptions {
  return { details, ...cause !== undefined && { cause } };
}

/** Whether there is no more to an error than what {@link inPlaceOf} tells. */
function isPlain(error: unknown): error is CodedError {
  return error instanceof CodedError && error.constructor === CodedError;
}
