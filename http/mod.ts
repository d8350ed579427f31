/**
 * HTTP as the bridges, the relay and the webhooks need it: requests to URLs that strangers may have chosen. Imports only
 * `core/`; whoever makes a thing here disposes of it.
 *
 * @module
 */
export { parseAllowList, type ResolveHost } from "./address_guard.ts";
export { addressKind } from "./address_kind.ts";
export type { TlsFiles } from "./pinned_request.ts";
export { createSafeFetch, type SafeFetch, type SafeFetchInit, type SafeFetchOptions } from "./safe_fetch.ts";
