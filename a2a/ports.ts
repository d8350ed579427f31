import type { Envelope, OutboxEntry, Task, TaskDirection, TaskStatus } from "./model.ts";

/** A task and the revision of its record, which the next commit has to name. */
export interface StoredTask {
  readonly task: Task;
  readonly revision: string;
}

/** One step of a task: its new state and the envelopes it sends, all or nothing. */
export interface TaskStep {
  readonly task: Task;
  /** Revision the step starts from; undefined for a new task. */
  readonly revision: string | undefined;
  readonly outbox: readonly OutboxEntry[];
}

/** Which tasks to list, newest first. */
export interface TaskQuery {
  readonly direction?: TaskDirection;
  readonly statuses?: readonly TaskStatus[];
  /** Most tasks answered. */
  readonly pageSize: number;
  readonly pageToken?: string;
}

/** A page of tasks in short: the beginning of the first message's text, artifacts without their parts. */
export interface TaskPage {
  readonly tasks: readonly Task[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Durable tasks and the envelopes they owe. What a promise here resolves to is on disk. */
export interface TaskStore {
  load(taskId: string): Promise<StoredTask | undefined>;
  /** Writes the step; false when the record has moved on since `revision`. */
  commit(step: TaskStep): Promise<boolean>;
  list(query: TaskQuery): Promise<TaskPage>;
  /** All tasks that have not ended. */
  open(): AsyncIterable<Task>;
  /** Peers with envelopes waiting, and the highest sequence of each. */
  outboxPeers(): Promise<readonly { peerId: string; lastSequence: number }[]>;
  /** The first envelopes waiting for `peerId`, in order. */
  outbox(peerId: string, options: { limit: number }): Promise<readonly OutboxEntry[]>;
  removeOutbox(entries: readonly OutboxEntry[]): Promise<void>;
}

/** The way to other engines. */
export interface EnvelopeTransport {
  readonly peerId: string;
  isConnected(peerId: string): boolean;
  /** Reaches the peer or throws `unavailable`. */
  connect(peerId: string, options?: { signal?: AbortSignal }): Promise<void>;
  /** Resolves when the envelope has left this node; says nothing about its arrival. */
  send(peerId: string, envelope: Envelope, options?: { signal?: AbortSignal }): Promise<void>;
}
