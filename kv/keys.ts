import type { KvKey } from "./store.ts";

// Logical keys: what the program stores.

/** All tasks, by id. */
export const taskPrefix: KvKey = ["task"];
/** One task. */
export const taskKey = (id: string): KvKey => [...taskPrefix, id];

/** Index of the tasks by time of creation: list it in reverse for the newest first. */
export const taskByTimePrefix: KvKey = ["task_by_time"];
/** @param createdAtMs milliseconds since the Unix epoch. */
export const taskByTimeKey = (createdAtMs: number, id: string): KvKey => [
  ...taskByTimePrefix,
  createdAtMs,
  id,
];

/** Index of the tasks that have not ended. */
export const openTaskPrefix: KvKey = ["open_task"];
/** One task that has not ended. @param createdAtMs milliseconds since the Unix epoch. */
export const openTaskKey = (createdAtMs: number, id: string): KvKey => [...openTaskPrefix, createdAtMs, id];

/** The tasks of one caller of this node. */
export const callerTaskPrefix = (caller: string): KvKey => ["caller_task", caller];
/** One task of a caller. */
export const callerTaskKey = (caller: string, id: string): KvKey => [...callerTaskPrefix(caller), id];

/** Webhooks: of all tasks, or of one. */
export const webhookPrefix = (taskId?: string): KvKey =>
  taskId === undefined ? ["webhook"] : ["webhook", taskId];
/** One webhook of a task. */
export const webhookKey = (taskId: string, id: string): KvKey => [...webhookPrefix(taskId), id];

/** Received tasks that were removed and whose repetition is not to be taken for a new one. */
export const removedTaskPrefix: KvKey = ["removed_task"];
/** One removed task. */
export const removedTaskKey = (id: string): KvKey => [...removedTaskPrefix, id];

/** Where a record that cannot be read is put aside. */
export const damagedKey = (key: KvKey): KvKey => ["damaged", ...key];

/** Envelopes that wait for delivery: in one lane in the order of their sequence, or in all, lane by lane. */
export const outboxPrefix = (lane?: string): KvKey => lane === undefined ? ["outbox"] : ["outbox", lane];
/** One waiting envelope. */
export const outboxKey = (lane: string, sequence: number): KvKey => [...outboxPrefix(lane), sequence];

/** Addresses at which peers were reached, to find them again after a restart. */
export const peerAddressPrefix: KvKey = ["peer_address"];
/** The addresses of one peer. */
export const peerAddressKey = (peerId: string): KvKey => [...peerAddressPrefix, peerId];

/** Tasks given to agents behind URLs. */
export const remoteTaskPrefix: KvKey = ["remote_task"];
/** One of them, by the id that it has at this node. */
export const remoteTaskKey = (id: string): KvKey => [...remoteTaskPrefix, id];

/** The agents of this node that take tasks. */
export const agentsKey: KvKey = ["agents"];

/** The card of this node. */
export const ownCardKey: KvKey = ["card", "own"];
/** The last card seen of each peer. */
export const peerCardPrefix: KvKey = ["card", "peer"];
/** The last card seen of one peer. */
export const peerCardKey = (peerId: string): KvKey => [...peerCardPrefix, peerId];

/** What peers have registered at relays, or that they have taken it back: at all of them, or at one. */
export const registrationPrefix = (relayId?: string): KvKey =>
  relayId === undefined ? ["registration"] : ["registration", relayId];
/** Of one peer. */
export const registrationKey = (
  relayId: string,
  peerId: string,
): KvKey => [...registrationPrefix(relayId), peerId];

/** A single fact about the node, such as a counter. */
export const metaKey = (name: string): KvKey => ["meta", name];

// Physical keys of the Deno KV adapter: where it puts the above.

/** Layout of the database; a program refuses one that it does not know. */
export const FORMAT_VERSION = 2;
/** Holds {@link FORMAT_VERSION}. */
export const formatKey: KvKey = ["format"];

/** Everything below is a stored key: its value, or where its value's chunks are. */
export const headPrefix: KvKey = ["head"];
/** What the store has for one key. */
export const headKey = (key: KvKey): KvKey => [...headPrefix, ...key];
/** The stored key of a head. */
export const fromHeadKey = (key: Deno.KvKey): KvKey => key.slice(headPrefix.length) as (string | number)[];

/** The chunks of a large value, in order. */
export const chunkPrefix = (valueId: string): KvKey => ["chunk", valueId];
/** One chunk of a large value. */
export const chunkKey = (valueId: string, index: number): KvKey => [...chunkPrefix(valueId), index];

/** The keys whose values may be in chunks: all that are, and some that an interrupted commit left behind. */
export const largePrefix: KvKey = ["large"];
/** Marks one key as such. */
export const largeKey = (key: KvKey): KvKey => [...largePrefix, ...key];

/** Chunks that nothing refers to unless their commit is just running. */
export const garbagePrefix: KvKey = ["garbage"];
/** The garbage of one commit. */
export const garbageKey = (commitId: string): KvKey => [...garbagePrefix, commitId];
