import type { AgentCard, Artifact, Message, MessageInput, TaskStatus } from "./model.ts";
import type { ArtifactInput, SentArtifact } from "./send_artifact.ts";

/** How long to wait for an answer. */
export interface AskOptions {
  /** Throws `TaskTimeoutError` after this many milliseconds; the task then still waits for input. Default: no limit. */
  timeoutMs?: number;
  /** Ends the waiting, not the task. */
  signal?: AbortSignal;
}

/** A task that another agent has sent to this node. `Input` is what its handler's schema makes of the request. */
export interface IncomingTask<Input = unknown> {
  /** Its id, the same on both sides. */
  readonly taskId: string;
  /** The conversation it belongs to. */
  readonly contextId: string;
  /** Who sent it. */
  readonly peerId: string;
  /** What was said so far, oldest first; grows with each answer to `ask`. */
  readonly messages: readonly Message[];
  /** All text parts of the messages, one per line. */
  readonly text: string;
  /**
   * The request as data: the first data part of the first message, else its text, read as JSON when it is an object or array.
   * With a schema: checked, and as the schema makes it.
   */
  readonly input: Input;
  /** The skill the sender means. */
  readonly targetSkillId: string | undefined;
  /** The sender's card, when this node has it. */
  readonly senderCard: AgentCard | undefined;
  /** What the sender has given along. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When the task is to be over: unfinished then, it fails on both sides. */
  readonly deadline: Date | undefined;
  /** `traceparent` of the request, by W3C Trace Context. */
  readonly traceParent: string | undefined;
  /** `tracestate` of the request, by W3C Trace Context. */
  readonly traceState: string | undefined;
  /**
   * Fires when the task ends otherwise than by the handler (cancelled, past its deadline), another worker has it, the handler's
   * time is up or the node stops. Watching begins with the first use.
   */
  readonly signal: AbortSignal;
  /** Tells the sender how it goes. */
  updateStatus(status: TaskStatus, message?: MessageInput): Promise<void>;
  /** Ends the task with its result; a text becomes one artifact. What was sent with `sendArtifact` is part of it already. */
  complete(result?: string | Artifact | readonly Artifact[]): Promise<void>;
  /** Ends the task as failed; the sender gets the message. */
  fail(error: string | Error): Promise<void>;
  /**
   * Hands the task back with a question: the sender's `wait()` ends with it, and the handler may return. The sender's answer
   * (`TaskHandle.reply`) starts the handler again, with all messages.
   */
  requestInput(question: MessageInput): Promise<void>;
  /**
   * Asks the sender and waits for the answer, while the handler keeps its place. After a restart of the agent the answer starts
   * the handler anew, with all messages. Throws `TaskTimeoutError`, `cancelled` when the task ends or a signal fires, or
   * `failed_precondition` while another question waits.
   */
  ask(question: MessageInput, options?: AskOptions): Promise<Message>;
  /**
   * Sends a result while it is made, of any length; resolves when the sender's node has all of it. The data is taken no faster
   * than the sender reads it. Data that can be read again is sent again when the own daemon was restarted meanwhile. Throws
   * `TaskStreamError`, or what the data throws: the sender is then told that it is not whole.
   */
  sendArtifact(artifact: ArtifactInput): Promise<SentArtifact>;
  /** Does not take the task. */
  reject(reason?: string): Promise<void>;
}
