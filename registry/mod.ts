/**
 * What daemon and relay share about the skill registry: its model, the form it has on the wire, and the client. Imports
 * `rpc/`, `identity/`, `gen/` and `core/`. Whoever makes a client disposes it.
 *
 * @module
 */
export {
  fromQuery,
  fromRegistration,
  fromRegistrySkill,
  toMs,
  toQuery,
  toRegistration,
  toRegistrySkill,
  toSignedRecord,
} from "./convert.ts";
export {
  DEFAULT_PAGE_SIZE,
  type Lease,
  MAX_PAGE_SIZE,
  type Registration,
  type RegistryPage,
  type RegistryQuery,
} from "./model.ts";
export { RegistryClient, type RegistryClientDeps } from "./registry_client.ts";
