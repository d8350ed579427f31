import type {
  AgentCard,
  DiscoveredAgent,
  Message,
  NodeInfo,
  PeerInfo,
  Task,
  TaskFilter,
} from "../../sdk/mod.ts";

/** Where a task goes. */
export type Target =
  | { readonly kind: "peer"; readonly peerId: string }
  | { readonly kind: "skill"; readonly skill: string }
  | { readonly kind: "url"; readonly url: string };

/** A task to be sent. */
export interface OutgoingTask {
  readonly taskId: string;
  readonly target: Target;
  readonly message: Message;
  /** Which skill of the agent is meant. */
  readonly skill?: string | undefined;
  readonly contextId?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** W3C Trace Context of the call. */
  readonly trace?: { readonly traceParent: string; readonly traceState: string } | undefined;
}

/** Which agents to look for. */
export interface DiscoveryQuery {
  /** Exactly this skill; empty for any. */
  readonly skill: string;
  /** Words that are all found in ids, names and descriptions. */
  readonly text?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly limit: number;
}

/** What tools and resources ask of the network, in the words of the SDK. Everything throws `CodedError`s. */
export interface NetworkAccess {
  info(): Promise<NodeInfo>;
  peers(): Promise<readonly PeerInfo[]>;
  connect(target: string): Promise<PeerInfo>;
  /** The card of a peer. */
  card(peerId: string): Promise<AgentCard>;
  discover(query: DiscoveryQuery): Promise<readonly DiscoveredAgent[]>;
  /** Resolves with the task once it is kept; a task that the network has taken goes on when `signal` fires. */
  send(task: OutgoingTask, options: { signal: AbortSignal }): Promise<Task>;
  task(taskId: string): Promise<Task>;
  tasks(filter: TaskFilter): Promise<readonly Task[]>;
  /** Answers the question of an agent. */
  reply(taskId: string, message: Message): Promise<Task>;
  cancel(taskId: string): Promise<Task>;
  /** The task as it stands, then after every change until it is over or `signal` fires. */
  watch(taskId: string, options: { signal: AbortSignal }): AsyncIterable<Task>;
}
