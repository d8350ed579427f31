import type { Artifact, Message, TaskStatus, TraceContext } from "../../a2a/mod.ts";

/** A task as the agent that has it shows it. */
export interface RemoteTask {
  readonly remoteTaskId: string;
  /** Empty when the agent has none for it. */
  readonly contextId: string;
  readonly status: TaskStatus;
  /** What the agent said with the status. */
  readonly message: Message | undefined;
  /** What was said before, oldest first, as far as the agent tells. */
  readonly history: readonly Message[];
  readonly artifacts: readonly Artifact[];
}

/** What an agent answers to a message, piece by piece. */
export type RemoteEvent =
  | { readonly kind: "task"; readonly task: RemoteTask }
  | {
    readonly kind: "status";
    readonly remoteTaskId: string;
    readonly contextId: string;
    readonly status: TaskStatus;
    readonly message: Message | undefined;
  }
  | {
    readonly kind: "artifact";
    readonly remoteTaskId: string;
    readonly contextId: string;
    readonly artifact: Artifact;
    /** Its parts come behind those of the artifact that is there. */
    readonly append: boolean;
  }
  /** The whole answer: there is no task. */
  | { readonly kind: "message"; readonly message: Message };

/** One message of a task for a remote agent. */
export interface RemoteTurn {
  /** The id of the task at this node. */
  readonly taskId: string;
  /** The id of the task at the agent; empty for a new one. */
  readonly remoteTaskId: string;
  readonly contextId: string;
  readonly message: Message;
  readonly targetSkillId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly trace: TraceContext;
}

export interface CallOptions {
  readonly signal: AbortSignal;
}

export interface SendOptions extends CallOptions {
  /** Whether what follows the first event may come on the same connection. */
  readonly mayStream: boolean;
}

/**
 * An agent behind a URL. Its methods throw CodedErrors: `unavailable` and `deadline_exceeded` (with the detail `sent`: `no`
 * when the request cannot have arrived), `resource_exhausted` (it is busy), `unauthenticated` and `permission_denied` (it
 * wants other credentials), `not_found` (it has no such task), `failed_precondition`, `invalid_argument` (it does not take
 * this), `unimplemented` (it cannot do this), `internal` (it failed), `data_loss` (its answer makes no sense).
 */
export interface RemoteAgent {
  /** What it is spoken to, such as `A2A 1.0 JSONRPC at https://agent.example/a2a`. */
  readonly description: string;
  readonly protocol: "a2a" | "anp";
  /** Whether a message of the same id is taken once, however often it is sent. */
  readonly isIdempotent: boolean;
  /** Sends a message: at least one event, and as many more as come on the same connection. */
  send(turn: RemoteTurn, options: SendOptions): AsyncIterable<RemoteEvent>;
  /** How a task stands. */
  get(remoteTaskId: string, options: CallOptions): Promise<RemoteTask>;
  /** The events of a task from now on; undefined when the agent has no streams. */
  readonly subscribe:
    | ((remoteTaskId: string, options: CallOptions) => AsyncIterable<RemoteEvent>)
    | undefined;
  cancel(remoteTaskId: string, options: CallOptions): Promise<RemoteTask>;
  /** The task that a message of this id has made in the context; undefined when there is none. */
  find(
    message: { contextId: string; messageId: string },
    options: CallOptions,
  ): Promise<RemoteTask | undefined>;
}
