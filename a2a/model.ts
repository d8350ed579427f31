import type { TraceContext } from "../core/tracer.ts";

export type { TraceContext } from "../core/tracer.ts";

/** The states of a task, in the order of the protocol's numbers. */
export const TASK_STATUSES = [
  "submitted",
  "working",
  "input_required",
  "completed",
  "failed",
  "canceled",
  "rejected",
  "auth_required",
] as const;

/** One of {@link TASK_STATUSES}. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** What a part carries. */
export type PartContent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "data"; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: "url"; readonly url: string; readonly filename: string }
  | { readonly kind: "raw"; readonly data: Uint8Array; readonly filename: string }
  | { readonly kind: "none" };

/** A piece of a message or artifact. */
export interface Part {
  readonly content: PartContent;
  readonly mediaType: string;
  /** Values are texts, or what else JSON can say. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Name to store the content under, where the content has no place for one. */
  readonly filename?: string;
}

/** What an author adds to a message or artifact, in terms that both sides know. */
export interface Annotations {
  /** JSON values. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** URIs of the extensions of A2A that it makes use of. */
  readonly extensions?: readonly string[];
}

/** One turn of a conversation. */
export interface Message extends Annotations {
  readonly messageId: string;
  readonly role: "user" | "agent";
  readonly parts: readonly Part[];
  readonly createdAtMs: number;
  /** Ids of other tasks that it speaks of. */
  readonly referenceTaskIds?: readonly string[];
}

/** A result of a task. */
export interface Artifact extends Annotations {
  readonly artifactId: string;
  readonly name: string;
  readonly description?: string;
  readonly parts: readonly Part[];
}

/** `outbound`: sent by this node to `peerId`; `inbound`: received by this node from `peerId`. */
export type TaskDirection = "outbound" | "inbound";

/** A task as this node knows it: an immutable snapshot. */
export interface Task {
  readonly taskId: string;
  readonly contextId: string;
  readonly direction: TaskDirection;
  /** The other side: the assignee of an outbound task, the originator of an inbound one. */
  readonly peerId: string;
  readonly status: TaskStatus;
  readonly targetSkillId: string;
  readonly messages: readonly Message[];
  readonly artifacts: readonly Artifact[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Why the task failed, was rejected or could not be delivered; empty otherwise. */
  readonly errorMessage: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Counts the changes this node has seen, from 1. */
  readonly generation: number;
  /** When it is to be over, in milliseconds since the Unix epoch; 0 without a deadline. */
  readonly deadlineMs: number;
  readonly trace: TraceContext;
  /** Its sender wants it called off and waits for the word of the assignee, who decides. */
  readonly cancelRequested: boolean;
  /** Id of the message that came with the status; left out for none. */
  readonly statusMessageId?: string;
  /** On whose behalf this node sent it, such as `http:alice`; left out for its own programs and for a received task. */
  readonly caller?: string;
}

/** One change of a task. */
export interface TaskEvent {
  readonly generation: number;
  readonly status: TaskStatus;
  readonly atMs: number;
  /** What was said with it; empty for nothing. */
  readonly messageId: string;
}

/** How a sent task finds its assignee when it names a skill instead of a peer; until one has it, its `peerId` is empty. */
export interface TaskRoute {
  readonly skillId: string;
  /** Labels that the skill has to have. */
  readonly tags: Readonly<Record<string, string>>;
  /** Peers that did not take it, and why: it does not go to them again. */
  readonly refusals: readonly { readonly peerId: string; readonly reason: string }[];
}

/** All that a node keeps of a task. */
export interface TaskRecord {
  readonly task: Task;
  /** Its changes, oldest first; of very many only the last. */
  readonly events: readonly TaskEvent[];
  /** Ids of the last envelopes that changed it: they change it no more. */
  readonly envelopeIds: readonly string[];
  /** A received task that waits for an agent to take it up. */
  readonly awaitsAgent: boolean;
  /** The claim of the worker that has it; empty without one. */
  readonly claimId: string;
  /** Sequence of the last envelope with a message for the assignee of a sent task; 0 for a received one. */
  readonly sendSequence: number;
  /** Of a task that was sent to a skill. */
  readonly route?: TaskRoute | undefined;
}

/** What travels between two engines. */
export type EnvelopeBody =
  | {
    readonly type: "send_task";
    readonly taskId: string;
    readonly contextId: string;
    readonly message: Message | undefined;
    readonly targetSkillId: string;
    readonly metadata: Readonly<Record<string, string>>;
    /** 0 without a deadline. */
    readonly deadlineMs: number;
  }
  | {
    readonly type: "status_update";
    readonly taskId: string;
    readonly status: TaskStatus;
    readonly message: Message | undefined;
  }
  | {
    readonly type: "complete";
    readonly taskId: string;
    readonly artifacts: readonly Artifact[];
    readonly message: Message | undefined;
  }
  | {
    readonly type: "fail";
    readonly taskId: string;
    readonly errorMessage: string;
    readonly message: Message | undefined;
  }
  | {
    readonly type: "cancel";
    readonly taskId: string;
    /** The end that is asked for. */
    readonly status: "canceled" | "failed";
    readonly reason: string;
  }
  | { readonly type: "get_task"; readonly taskId: string }
  | {
    readonly type: "get_task_response";
    readonly taskId: string;
    /** As the other side sees it; undefined when it has no such task of ours. */
    readonly task: Pick<Task, "status" | "messages" | "artifacts" | "errorMessage"> | undefined;
  };

/** An {@link EnvelopeBody} with its own id, under which it is answered. */
export interface Envelope {
  readonly envelopeId: string;
  readonly timestampMs: number;
  readonly trace: TraceContext;
  readonly body: EnvelopeBody;
}

/**
 * The queues to a peer: new tasks, further messages and cancellations of tasks that it has, and how its own tasks here go on.
 * They do not wait for each other: a peer that has too many tasks gets room by the other two.
 */
export type OutboxLane = "requests" | "turns" | "reports";

/** An envelope that waits for its answer, as it lies in the store. */
export interface OutboxEntry {
  readonly peerId: string;
  readonly lane: OutboxLane;
  /** Grows with every envelope of this node; gives the order of delivery within a lane. */
  readonly sequence: number;
  readonly taskId: string;
  readonly envelopeId: string;
  readonly type: EnvelopeBody["type"];
  /** The encoded envelope. */
  readonly bytes: Uint8Array;
  readonly queuedAtMs: number;
  readonly expiresAtMs: number;
}
