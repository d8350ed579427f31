import type {
  Envelope,
  EnvelopeBody,
  OutboxEntry,
  OutboxLane,
  Task,
  TaskDirection,
  TaskRecord,
  TaskStatus,
} from "./model.ts";

/** A task's record and its revision, which the next commit has to name. */
export interface StoredTask {
  readonly record: TaskRecord;
  readonly revision: string;
}

/** Which envelope. */
export type OutboxKey = Pick<OutboxEntry, "peerId" | "lane" | "sequence">;

/** One step of a task: its new record and the envelopes it sends or withdraws, all or nothing. */
export interface TaskStep {
  readonly record: TaskRecord;
  /** Revision the step starts from; undefined for a new task. */
  readonly revision: string | undefined;
  readonly outbox: readonly OutboxEntry[];
  /** Envelopes that are not to be sent any more. */
  readonly withdrawn: readonly OutboxKey[];
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
  /** Empty on the last page; a page that is not may have few tasks or none. */
  readonly nextPageToken: string;
}

/** A task of a caller of this node in short. */
export interface CallerTask {
  readonly taskId: string;
  readonly contextId: string;
  readonly status: TaskStatus;
  readonly updatedAtMs: number;
  /** Whom it was sent to; empty for a task of this node's own agent. */
  readonly peerId: string;
}

/** What waits for a peer. */
export interface PeerOutbox {
  readonly peerId: string;
  readonly lane: OutboxLane;
  readonly lastSequence: number;
  readonly count: number;
  readonly bytes: number;
}

/** Which ended tasks go: those that ended before `endedBeforeMs`, and the oldest of more than `maxTasks`. */
export interface Retention {
  readonly endedBeforeMs: number;
  readonly maxTasks: number;
  /** Until when a removed received task is remembered, so that its repetition is not taken for a new one. */
  readonly rememberUntilMs: number;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Durable tasks and the envelopes they owe. What a promise here resolves to is on disk. */
export interface TaskStore {
  /** The record when it is at hand without reading. */
  cached(taskId: string): StoredTask | undefined;
  load(taskId: string): Promise<StoredTask | undefined>;
  /** Writes the step; undefined when the record has moved on since `revision`. */
  commit(step: TaskStep): Promise<StoredTask | undefined>;
  list(query: TaskQuery): Promise<TaskPage>;
  /** All tasks of a caller (see {@link callerOf}), the one that changed last first. */
  ofCaller(caller: string): Promise<readonly CallerTask[]>;
  /** All tasks that have not ended, oldest first. */
  open(): AsyncIterable<TaskRecord>;
  outboxPeers(): Promise<readonly PeerOutbox[]>;
  /** The first envelopes waiting in a lane behind the sequence `after`, in order. */
  outbox(
    lane: Pick<OutboxEntry, "peerId" | "lane">,
    options: { limit: number; after: number },
  ): Promise<readonly OutboxEntry[]>;
  removeOutbox(entries: readonly OutboxKey[]): Promise<void>;
  /** Whether a received task of this id was here and is removed. */
  wasRemoved(taskId: string): Promise<boolean>;
  /** Removes ended tasks; answers their ids, a batch at a time. */
  removeEnded(retention: Retention): AsyncIterable<readonly string[]>;
}

/** What the other side made of an envelope. */
export type Answer =
  /** Judged for good and on disk: accepted, or a repetition. */
  | { readonly outcome: "taken" }
  /** Judged for good and not accepted. */
  | { readonly outcome: "refused"; readonly reason: string; readonly code?: Refusal["code"] }
  /** Not taken now: to be sent again later. */
  | { readonly outcome: "busy"; readonly reason: string };

/** What a peer or another caller of this node asks it to take. */
export interface TaskRequest {
  /** Whose task it is. */
  readonly peerId: string;
  readonly taskId: string;
  /** Empty when the sender leaves the choice to the agent. */
  readonly skillId: string;
  /** Whether it is a new task, or a further message of one that was taken. */
  readonly isNew: boolean;
  /** Unfinished tasks that this node has of the same peer; without this one. */
  readonly openTasks: number;
}

/** Why something is not admitted, for who asked for it. */
export interface Refusal {
  /** Never, or not now. */
  readonly code: "permission_denied" | "resource_exhausted";
  readonly reason: string;
}

/** Why a task or message is not taken, or undefined when it is. It never throws. */
export type AdmitTask = (request: TaskRequest) => Refusal | undefined | Promise<Refusal | undefined>;

/** What a caller of this node wants it to send. */
export interface SendRequest {
  /** Who wants it, such as `http:alice`. */
  readonly caller: string;
  /** Whom it is for: a peer id or a URL; empty for whoever offers the skill. */
  readonly peerId: string;
  readonly taskId: string;
  /** Empty when the choice is left to the agent. */
  readonly skillId: string;
  /** Unfinished tasks that the caller has sent through this node; without this one. 0 for programs of this node. */
  readonly openTasks: number;
  /** Whether it was admitted already, for whoever offers the skill, and this is one who does. */
  readonly isChoice: boolean;
}

/** Why a new task is not sent, or undefined when it is. It never throws. */
export type AdmitSend = (request: SendRequest) => Refusal | undefined | Promise<Refusal | undefined>;

/**
 * What the other side of a task speaks: `2.0`, or the `1.0` of the existing network, which neither confirms a cancellation
 * nor answers `get_task`, and takes a task's states only in its own stricter order. A caller at this node reads how its task
 * stands and is sent nothing: `none`.
 */
export type Framing = "1.0" | "2.0" | "none";

/** The way to other engines. */
export interface EnvelopeTransport {
  readonly peerId: string;
  isConnected(peerId: string): boolean;
  /** What the peer speaks, as far as is known. */
  framingOf(peerId: string): Framing | undefined;
  /** How many envelopes may be under way to the peer at once. */
  windowOf(peerId: string): number;
  /** Reaches the peer or throws `unavailable`; nothing has been sent then. */
  connect(peerId: string, options: { signal: AbortSignal }): Promise<void>;
  /**
   * Sends to a connected peer and waits for the answer, at most until `signal` fires or, on 2.0, the lane is given up.
   * Envelopes leave in the order of the calls. Throws `unavailable` and its kin when the way broke before the answer: it may have arrived or not.
   */
  send(
    peerId: string,
    envelope: { envelopeId: string; bytes: Uint8Array },
    options?: { signal?: AbortSignal },
  ): Promise<Answer>;
}

/** What an agent for a task is chosen by. */
export interface RouteQuery {
  readonly skillId: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Tasks of one conversation may belong together. */
  readonly contextId: string;
}

/** Agents for a task. */
export interface Candidates {
  /** The one to try first comes first. */
  readonly peerIds: readonly string[];
  /** Who could not be asked, so that there may be others; empty when everybody was. */
  readonly unasked: string;
}

/** What became of trying an agent. */
export type RouteOutcome = "taken" | "busy" | "refused" | "unreachable";

/** Finds agents for tasks that name a skill instead of a peer. */
export interface RouteFinder {
  /** @param options.isTurn a task goes to the first of them; else it is only asked who there is, and nobody's turn. */
  find(query: RouteQuery, options: { signal: AbortSignal; isTurn: boolean }): Promise<Candidates>;
  /** Says what became of a try, for later choices. */
  note(peerId: string, outcome: RouteOutcome): void;
}

/** Envelopes as bytes. @throws CodedError `resource_exhausted` or `invalid_argument` for one that cannot be sent. */
export type EnvelopeEncoder = (envelope: Envelope) => Uint8Array;

/** Is told what happens, to count it. Never throws. */
export interface EngineObserver {
  /** A task came to its status, from `from` or into being. */
  onStatus(task: Task, from: TaskStatus | undefined): void;
  /** A peer answered an envelope that had waited since it was committed. */
  onAnswered(entry: OutboxEntry, answer: Answer, waitedMs: number): void;
  /** Another engine, or a caller, sent an envelope. */
  onReceived(type: EnvelopeBody["type"]): void;
}
