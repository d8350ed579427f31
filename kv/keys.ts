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
/** One task that has not ended. */
export const openTaskKey = (id: string): KvKey => [...openTaskPrefix, id];

/** Envelopes that wait for delivery: to one peer in the order of their sequence, or to all, peer by peer. */
export const outboxPrefix = (peerId?: string): KvKey =>
  peerId === undefined ? ["outbox"] : ["outbox", peerId];
/** One waiting envelope. */
export const outboxKey = (peerId: string, sequence: number): KvKey => [...outboxPrefix(peerId), sequence];

/** The card of this node. */
export const ownCardKey: KvKey = ["card", "own"];
/** The last card seen of each peer. */
export const peerCardPrefix: KvKey = ["card", "peer"];
/** The last card seen of one peer. */
export const peerCardKey = (peerId: string): KvKey => [...peerCardPrefix, peerId];

/** A single fact about the node, such as a counter. */
export const metaKey = (name: string): KvKey => ["meta", name];

// Physical keys of the Deno KV adapter: where it puts the above.

/** Layout of the database; a program refuses one that it does not know. */
export const FORMAT_VERSION = 1;
/** Holds {@link FORMAT_VERSION}. */
export const formatKey: KvKey = ["format"];

/** Everything below is a stored key: its value, or where its value's chunks are. */
export const headKey = (key: KvKey): KvKey => ["head", ...key];

/** The chunks of a large value, in order. */
export const chunkPrefix = (valueId: string): KvKey => ["chunk", valueId];
/** One chunk of a large value. */
export const chunkKey = (valueId: string, index: number): KvKey => [...chunkPrefix(valueId), index];

/** Chunks that nothing refers to unless their commit is just running. */
export const garbagePrefix: KvKey = ["garbage"];
/** The garbage of one commit. */
export const garbageKey = (commitId: string): KvKey => [...garbagePrefix, commitId];
