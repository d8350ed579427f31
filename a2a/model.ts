/** The states of a task, in the order of the protocol's numbers. */
export const TASK_STATUSES = [
  "submitted",
  "working",
  "input_required",
  "completed",
  "failed",
  "canceled",
  "rejected",
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
  readonly metadata: Readonly<Record<string, string>>;
}

/** One turn of a conversation. */
export interface Message {
  readonly messageId: string;
  readonly role: "user" | "agent";
  readonly parts: readonly Part[];
  readonly createdAtMs: number;
}

/** A result of a task. */
export interface Artifact {
  readonly artifactId: string;
  readonly name: string;
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
  | { readonly type: "cancel"; readonly taskId: string }
  | { readonly type: "ack"; readonly acknowledgedEnvelopeId: string };

/** An {@link EnvelopeBody} with its own id, under which it is acknowledged. */
export interface Envelope {
  readonly envelopeId: string;
  readonly timestampMs: number;
  readonly body: EnvelopeBody;
}

/** An envelope that waits for its acknowledgement, as it lies in the store. */
export interface OutboxEntry {
  readonly peerId: string;
  /** Grows with every envelope of this node; gives the order of delivery within a task. */
  readonly sequence: number;
  readonly taskId: string;
  readonly envelope: Envelope;
  readonly queuedAtMs: number;
  readonly expiresAtMs: number;
}
