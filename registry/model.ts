import type { RegistryFacts, SignedRegistryRecord } from "../identity/mod.ts";

/** An agent as a registry knows it. */
export interface Registration extends RegistryFacts {
  readonly peerId: string;
  /** What the peer signed; undefined when it registered without. */
  readonly signed: SignedRegistryRecord | undefined;
  /** Whether `signed` is there and right; what {@link RegistryClient} answers was checked here, not believed. */
  readonly verified: boolean;
  /** Milliseconds since the Unix epoch, as the three below. */
  readonly registeredAtMs: number;
  readonly expiresAtMs: number;
  readonly lastSeenMs: number;
  /** The relay it is registered with; empty when nobody says. */
  readonly viaRelayId: string;
}

/** Which registrations are wanted: those that fit everything that is given. */
export interface RegistryQuery {
  /** Exactly this skill. */
  readonly skill?: string | undefined;
  /** A skill whose id begins with this. */
  readonly prefix?: string | undefined;
  /** Words that are all found in ids, names and descriptions, in any case. */
  readonly text?: string | undefined;
  /** Labels that one and the same fitting skill must have, all of them. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Only signed registrations. Default false. */
  readonly verifiedOnly?: boolean | undefined;
  /** Also those that the registry has from other relays. Default true. */
  readonly federated?: boolean | undefined;
  /** Most on a page. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
  /** The `nextPageToken` of the page before. */
  readonly pageToken?: string | undefined;
}

/** A page of registrations, ordered by peer id. */
export interface RegistryPage {
  readonly agents: readonly Registration[];
  /** Asks for the next page; empty after the last one. */
  readonly nextPageToken: string;
}

/** What a registry promises for a registration. */
export interface Lease {
  /** How long it lives without renewal, in milliseconds. */
  readonly ttlMs: number;
  /** The relay that has it; empty when it does not say. */
  readonly relayId: string;
}

/** Registrations on a page when the query does not say. */
export const DEFAULT_PAGE_SIZE = 100;
/** Most registrations on a page. */
export const MAX_PAGE_SIZE = 1_000;
