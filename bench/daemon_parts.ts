// deno-lint-ignore-file agentanycast/boundaries -- what is measured here is what lies behind the daemon's front door
/** The parts of a daemon that a bench puts together without gRPC. */
export { CardBook } from "../daemon/cards.ts";
export { encodeEnvelope } from "../daemon/convert/envelope.ts";
export { PeerWire } from "../daemon/peer/mod.ts";
export { KvTaskStore } from "../daemon/store/kv_task_store.ts";
