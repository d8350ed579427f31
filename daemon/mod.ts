/**
 * The daemon: the only place where engine, network, store and wires are put together. Wires in its folders translate
 * and never import each other; `convert/` holds what they share of the wire format. Whoever starts a daemon disposes it.
 */
export { type Daemon, type EmbeddedNode, startDaemon, startEmbeddedNode } from "./daemon.ts";
export type { NodeParts } from "./node_parts.ts";
export { MemoryDisk } from "./memory/memory_disk.ts";
export { MemoryNetwork } from "./memory/memory_network.ts";
export { backUpHome, type BackupResult, restoreHome } from "./backup.ts";
export { openTrust, type Trust } from "./trust/mod.ts";
export { type AclRequest, basicParty, judge, type Party, wantedBy } from "./policy/mod.ts";
export { httpStatusOf, jsonRpcCodeOf } from "./a2a_api/a2a_error.ts";
