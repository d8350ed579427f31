/**
 * The store: a small port for ordered bytes, its adapter on Deno KV, one in memory, and every key that the program stores.
 * Imports `core/` only. Whoever opens or creates a store disposes it, after everything that uses it.
 *
 * @module
 */
export type { KvEntry, KvKey, KvListOptions, KvOperation, KvStore } from "./store.ts";
export { KV_LIMITS } from "./limits.ts";
export { createMemoryKvStore } from "./memory_kv_store.ts";
export { openRemoteKvStore } from "./remote_kv_store.ts";
export { openDenoKvStore } from "./deno_kv_store.ts";
export {
  agentsKey,
  callerTaskKey,
  callerTaskPrefix,
  damagedKey,
  metaKey,
  openTaskKey,
  openTaskPrefix,
  outboxKey,
  outboxPrefix,
  ownCardKey,
  peerAddressKey,
  peerAddressPrefix,
  peerCardKey,
  peerCardPrefix,
  registrationKey,
  registrationPrefix,
  remoteTaskKey,
  remoteTaskPrefix,
  removedTaskKey,
  removedTaskPrefix,
  taskByTimeKey,
  taskByTimePrefix,
  taskKey,
  taskPrefix,
  webhookKey,
  webhookPrefix,
} from "./keys.ts";
export { copyStore, DATABASE_FILE } from "./backup.ts";
