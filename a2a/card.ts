/** Something an agent can be asked to do. */
export interface Skill {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** JSON Schema as text; empty when there is none. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** Media types that it takes, such as `text/plain`; left out for the usual ones. */
  readonly inputModes?: readonly string[];
  /** Media types of what it answers. */
  readonly outputModes?: readonly string[];
  /** What could be said to it. */
  readonly examples?: readonly string[];
}

/** What an agent says it is. Only `peerId` (and `didKey`, which follows from it) is proven by the connection. */
export interface AgentCard {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly protocolVersion: string;
  readonly skills: readonly Skill[];
  readonly peerId: string;
  readonly supportedTransports: readonly string[];
  readonly relayAddresses: readonly string[];
  readonly didKey: string;
  readonly didWeb: string;
  readonly didDns: string;
  readonly verifiableCredentials: readonly string[];
  /** When the key of `peerId` signed it, in milliseconds since the Unix epoch; 0 for a card that it has not signed. */
  readonly signedAtMs: number;
  /** Whether its node opens payloads that are sealed for it. Default false. */
  readonly opensSealed?: boolean;
}
