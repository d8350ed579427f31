/**
 * The relay: circuits between peers that cannot dial each other, a registry of who offers what, shared with other relays, and
 * what shows it to people and programs. `startRelay` is the only place where its parts are put together. Whoever starts a
 * relay disposes it.
 *
 * @module
 */
export { type Relay, type RelayDeps, startRelay } from "./relay.ts";
export { SERVER_NAMES, type ServerName } from "./start_servers.ts";
export type { FederatedRelayFacts, RelayFacts } from "./relay_facts.ts";
