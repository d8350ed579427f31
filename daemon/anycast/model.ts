/** Something a discovered agent can be asked to do. */
export interface DiscoveredSkill {
  readonly id: string;
  readonly description: string;
  /** Labels to filter by; a keyword without a value has an empty one. */
  readonly tags: Readonly<Record<string, string>>;
}

/** An agent that was found, as far as is known of it. Names and descriptions are its own claims. */
export interface DiscoveredAgent {
  readonly peerId: string;
  readonly name: string;
  readonly description: string;
  readonly skills: readonly DiscoveredSkill[];
  /** Whether what is said here is proven to be the word of that peer: signed by it, or told over a connection with it. */
  readonly verified: boolean;
  /** When it was last known to be there, in milliseconds since the Unix epoch; 0 when nobody says. */
  readonly lastSeenMs: number;
  /** Who knows it, each once: `peer` (connected), `mdns`, `dht`, `relay <peer id>` or `registry <address>`. */
  readonly via: readonly string[];
  /** Multiaddrs at which it says it can be dialed; may be none. */
  readonly addresses: readonly string[];
}

/** Which agents are looked for: those that fit everything that is given. */
export interface DiscoverQuery {
  /** Exactly this skill. */
  readonly skill?: string | undefined;
  /** A skill whose id begins with this. */
  readonly prefix?: string | undefined;
  /** Words that are all found in ids, names and descriptions of the agent and its skills, in any case. */
  readonly text?: string | undefined;
  /** Labels that one and the same fitting skill must have, all of them. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Most agents answered. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
}

/** A source of agents: a registry, the DHT, the cards of connected peers. */
export interface DiscoveryProvider {
  /** For people and logs, such as `registry 192.0.2.7:50052`. */
  readonly name: string;
  /** Whether it is asked each time, since that costs nothing; else its answers are kept for a while. */
  readonly isLocal: boolean;
  /** Agents that may fit `query`; what does not fit is left out by the caller. Throws what kept it from looking. */
  find(query: DiscoverQuery, options: { signal: AbortSignal }): Promise<readonly DiscoveredAgent[]>;
}

/** What all sources together know. */
export interface Discovery {
  /** Each peer once, in a stable order. */
  readonly agents: readonly DiscoveredAgent[];
  /** Sources that could not be asked, and why: what they know is missing. */
  readonly failures: readonly { readonly source: string; readonly reason: string }[];
}
