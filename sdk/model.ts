/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  /** Any members. */
  [key: string]: JsonValue;
}

/** Where a task stands. The last four are final. */
export type TaskStatus =
  | "submitted"
  | "working"
  | "input_required"
  | "auth_required"
  | "completed"
  | "failed"
  | "canceled"
  | "rejected";

/** Whether a task in this state is over. */
export function isTerminal(status: TaskStatus): boolean {
  return status === "completed" || status === "failed" || status === "canceled" || status === "rejected";
}

/** Whether a task in this state waits for its sender: for an answer or for an authorization. */
export function isInterrupted(status: TaskStatus): boolean {
  return status === "input_required" || status === "auth_required";
}

/** A piece of a message or artifact: exactly one of `text`, `data`, `url` and `raw`. */
export interface Part {
  /** Plain text. */
  readonly text?: string;
  /** A JSON object. */
  readonly data?: JsonObject;
  /** Where the content is. */
  readonly url?: string;
  /** The content itself. */
  readonly raw?: Uint8Array;
  /** Name of the file behind `url` or in `raw`. */
  readonly filename?: string;
  /** Such as `image/png`. */
  readonly mediaType?: string;
  /** Free facts about the part. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** One turn of a conversation. */
export interface Message {
  /** Who says it: the sender of the task is the user. */
  readonly role: "user" | "agent";
  /** What is said. */
  readonly parts: readonly Part[];
  /** Default: the daemon makes one. */
  readonly messageId?: string;
  /** When it was said. */
  readonly createdAt?: Date;
}

/** A result of a task. */
export interface Artifact {
  /** What it consists of. */
  readonly parts: readonly Part[];
  /** Default: the daemon makes one. */
  readonly artifactId?: string;
  /** For people. */
  readonly name?: string;
}

/** What may stand for the content of a message: a text, parts, or a whole message. */
export type MessageInput = string | readonly Part[] | Message;

/** A snapshot of a task. */
export interface Task {
  /** The same on both sides. */
  readonly taskId: string;
  /** The conversation it belongs to. */
  readonly contextId: string;
  /** Where it stands. */
  readonly status: TaskStatus;
  /** What was said, oldest first. */
  readonly messages: readonly Message[];
  /** Its results. */
  readonly artifacts: readonly Artifact[];
  /** What the sender has given along. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Why it failed, was rejected or could not be delivered. */
  readonly error?: string;
  /** The skill the sender means. */
  readonly targetSkillId?: string;
  /** The other side of the task. */
  readonly peerId?: string;
  /** Whether this node sent the task (`outbound`) or received it. */
  readonly direction?: TaskDirection;
  /** Who sent the task. */
  readonly originatorPeerId?: string;
  /** When this node came to know it. */
  readonly createdAt?: Date;
  /** When it last changed. */
  readonly updatedAt?: Date;
  /** When it is to be over: unfinished then, it fails on both sides. */
  readonly deadline?: Date;
  /** Counts the changes that this node knows of, from 1. Absent when the daemon does not count them. */
  readonly generation?: number;
  /** Its sender wants it called off and waits for the assignee's word. */
  readonly cancelRequested?: boolean;
  /** `traceparent` of the request, by W3C Trace Context. */
  readonly traceParent?: string;
  /** `tracestate` of the request, by W3C Trace Context. */
  readonly traceState?: string;
}

/** Which way a task went, as this node sees it. */
export type TaskDirection = "inbound" | "outbound";

/** Which tasks to list. */
export interface TaskFilter {
  /** Only those in this status. */
  readonly status?: TaskStatus;
  /** Only those that went this way. */
  readonly direction?: TaskDirection;
  /** Most tasks to answer. Default 100. */
  readonly limit?: number;
}

/** A webhook of a task that is told nothing more, since it did not take a change of its task. */
export interface DeadLetter {
  /** Whose webhook it is. */
  readonly taskId: string;
  /** The webhook in its task. */
  readonly webhookId: string;
  /** Where it was told. */
  readonly url: string;
  /** Why the last try failed. */
  readonly reason: string;
  /** When the last try failed. */
  readonly givenUpAt: Date;
}

/** A change of a task. */
export interface TaskUpdate {
  /** Whose change it is. */
  readonly taskId: string;
  /** Where the task stands now. */
  readonly status: TaskStatus;
  /** Its results; they come with the end. */
  readonly artifacts: readonly Artifact[];
  /** What was said with it: the agent's progress, question or last word, or the sender's answer. */
  readonly message?: Message;
  /** Why it failed or was rejected. */
  readonly error?: string;
  /** Which change of the task it is, counted from 1. Absent when the daemon does not count them. */
  readonly generation?: number;
  /** The other side of the task now; absent while a task for a skill has no agent. */
  readonly peerId?: string;
}

/** Something an agent can be asked to do. */
export interface Skill {
  /** Name that tasks and lookups use. */
  readonly id: string;
  /** Title for people. */
  readonly name?: string;
  /** What it does. */
  readonly description?: string;
  /** Keywords that help to choose. */
  readonly tags?: readonly string[];
  /** JSON Schema of what it takes, as JSON text. */
  readonly inputSchema?: string;
  /** JSON Schema of what it answers, as JSON text. */
  readonly outputSchema?: string;
  /** Media types that it takes, such as `text/plain`. Default: the usual ones. */
  readonly inputModes?: readonly string[];
  /** Media types of what it answers. Default: the usual ones. */
  readonly outputModes?: readonly string[];
  /** What could be said to it. */
  readonly examples?: readonly string[];
}

/** What an agent says about itself. The node fills in what lies below `skills`. */
export interface AgentCard {
  /** For people; not unique. */
  readonly name: string;
  /** What the agent is for. */
  readonly description?: string;
  /** Default `1.0.0`. */
  readonly version?: string;
  /** Default `a2a/0.3`. */
  readonly protocolVersion?: string;
  /** What it can be asked to do. */
  readonly skills: readonly Skill[];
  /** Its place in the network. */
  readonly peerId?: string;
  /** The peer id as a `did:key`. */
  readonly didKey?: string;
  /** A `did:web` it claims. */
  readonly didWeb?: string;
  /** A `did:dns` it claims. */
  readonly didDns?: string;
  /** Such as `tcp`. */
  readonly supportedTransports?: readonly string[];
  /** Multiaddrs of relays it can be reached through. */
  readonly relayAddresses?: readonly string[];
  /** Each as its JSON text. */
  readonly verifiableCredentials?: readonly string[];
  /** When the key of its node signed it, of which the daemon made sure; undefined for a card that is not signed. */
  readonly signedAt?: Date;
}

/** What is proven of a card. Its peer id and did:key are, by the connection, in any case. */
export interface CardCheck {
  /** Whether the key of its peer id has signed it. */
  readonly signed: boolean;
  /** The other DIDs that it claims. */
  readonly dids: readonly DidCheck[];
  /** Its credentials, in their order. */
  readonly credentials: readonly CredentialCheck[];
}

/** What became of a DID that a card claims. */
export interface DidCheck {
  /** The DID. */
  readonly did: string;
  /** `verified`, `refuted` (it names other keys) or `unverifiable` (who it is could not be found out). */
  readonly verdict: string;
  /** Why it is not verified. */
  readonly reason?: string;
}

/** What became of a credential on a card. */
export interface CredentialCheck {
  /**
   * `valid`, `not_yet_valid`, `expired`, `revoked`, `suspended`, `wrong_subject`, `forged`, `malformed` or `unverifiable`.
   */
  readonly verdict: string;
  /** Why it is not valid. */
  readonly reason?: string;
  /** Its id. */
  readonly id?: string;
  /** DID of who issued it. */
  readonly issuer?: string;
  /** DIDs of whom it is about; left out where that has been checked. */
  readonly subjects?: readonly string[];
  /** Such as `AgentCapabilityCredential`. */
  readonly types?: readonly string[];
  /** What it says that the agent can do. */
  readonly capabilities?: readonly string[];
  /** Until when it is valid. */
  readonly validUntil?: Date;
  /** Whether it is in the older form of the network, which cannot be revoked. */
  readonly legacy?: boolean;
}

/** What a node says about itself. */
export interface NodeInfo {
  /** Its place in the network. */
  readonly peerId: string;
  /** The peer id as a `did:key`. */
  readonly did: string;
  /** Multiaddrs it can be dialed at. */
  readonly listenAddresses: readonly string[];
  /** Peers with an open connection. */
  readonly connectedPeers: number;
  /** Of the daemon. */
  readonly version: string;
  /** What it knows about its reachability. */
  readonly nat: "unknown" | "public" | "private";
  /** Whether its NAT shows everybody the same address (`same`), or is symmetric (`differs`). */
  readonly natMapping?: string;
  /** Where others see its UDP socket. */
  readonly observedAddresses?: readonly string[];
  /** Ports that its router has opened for it. */
  readonly portMapping?: PortMappingInfo;
  /** Its relays, the healthiest first. */
  readonly relays?: readonly RelayInfo[];
  /** When the daemon came up. */
  readonly startedAt?: Date;
  /** The folder of its key and store. */
  readonly home?: string;
  /** Process id of the daemon. */
  readonly pid?: number;
  /** The card it shows. */
  readonly card?: AgentCard;
}

/** What a node's router opens for it. */
export interface PortMappingInfo {
  /** `off`, `searching`, `none` (no router answers), `failed` or `mapped`. */
  readonly state: string;
  /** Which router. */
  readonly gateway?: string;
  /** Why it failed. */
  readonly reason?: string;
  /** Multiaddrs outside that lead to the node. */
  readonly addresses: readonly string[];
}

/** A relay of a node. */
export interface RelayInfo {
  /** Its place in the network. */
  readonly peerId: string;
  /** `reserved`: others reach the node through it; `refused`, `unreachable`. */
  readonly state: string;
  /** Why it is not reserved. */
  readonly reason: string;
  /** Where others reach the node through it. */
  readonly addresses: readonly string[];
  /** Mean round trip in milliseconds. */
  readonly roundTripMs?: number;
  /** Where it is dialed. */
  readonly address?: string;
}

/** A connected peer. */
export interface PeerInfo {
  /** Proven by the handshake. */
  readonly peerId: string;
  /** Remote multiaddrs of the open connections. */
  readonly addresses: readonly string[];
  /** Straight, or through a relay. */
  readonly connection: "unknown" | "direct" | "relay";
  /** When the oldest of its connections was made. */
  readonly connectedAt?: Date;
  /** On the first hop: `tcp`, `ws`, `quic`, `webtransport` or `webrtc-direct`. */
  readonly transport?: string;
  /** The relay that carries the bytes. */
  readonly relayId?: string;
  /** Round trip in milliseconds as last measured. */
  readonly roundTripMs?: number;
  /** Bytes of its streams since its first connection opened. */
  readonly sentBytes?: number;
  /** The same for what came. */
  readonly receivedBytes?: number;
  /** Tries to replace the relayed connection by a direct one. */
  readonly directTries?: number;
  /** Why the last of them failed. */
  readonly directObstacle?: string;
  /** Who dialed: `inbound` or `outbound`. */
  readonly direction?: string;
  /** How it became known, such as `mdns`. */
  readonly foundBy?: string;
  /** Name on its card; its own claim. */
  readonly agentName?: string;
  /** The peer id as a `did:key`. */
  readonly did?: string;
}

/** An agent that offers a skill. */
export interface DiscoveredAgent {
  /** Where tasks for it go. */
  readonly peerId: string;
  /** Its own claim, as the next two. */
  readonly agentName: string;
  /** What it is for. */
  readonly agentDescription: string;
  /** What it offers. */
  readonly skills: readonly {
    readonly skillId: string;
    readonly description: string;
    readonly tags: Readonly<Record<string, string>>;
  }[];
  /** Whether all this is proven to be the word of that peer: signed by it, or told over a connection with it. */
  readonly verified: boolean;
  /** When it was last known to be there; absent when nobody says. */
  readonly lastSeen?: Date;
  /** Who knows it: `peer` (connected), `mdns`, `dht`, `relay <peer id>` or `registry <address>`. */
  readonly via: readonly string[];
  /** Multiaddrs at which it says it can be dialed. */
  readonly addresses: readonly string[];
}

/** What agents are looked for by, besides the skill. */
export interface DiscoverOptions {
  /** Labels that the skill must have, all of them. */
  readonly tags?: Readonly<Record<string, string>>;
  /** A skill whose id begins with this; the skill itself is then left empty. */
  readonly prefix?: string;
  /** Words that must all be found in ids, names and descriptions, in any case. */
  readonly text?: string;
  /** Most agents answered. Default 100. */
  readonly limit?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}
