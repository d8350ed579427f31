import type { Connection, Libp2p, PeerId, Stream } from "@libp2p/interface";
import type { Logger } from "../core/log.ts";
import type { Multiaddr } from "@multiformats/multiaddr";
import { MAX_ADDRESSES_PER_PEER } from "./constants.ts";
import type { PunchState } from "./hole_punch.ts";
import { countBytes, type Traffic } from "./traffic.ts";
import { isDialable, isRelayed, kindOf, type TransportName } from "./address_kind.ts";

/** How often it is told that a peer is active. */
const TELL_ACTIVE_MS = 60_000;

/** What brought the first connection of a peer about. */
export type FoundBy = "mdns" | "bootstrap" | "dial" | "inbound";

/** A connected peer, as of now. */
export interface PeerConnection {
  peerId: string;
  /** Multiaddr of the far end. */
  address: string;
  /**
   * Where to dial it another time, worth remembering: the address that was dialed and those it told, without what this
   * node cannot dial. What a peer tells arrives shortly after the connection opens.
   */
  addresses: readonly string[];
  direction: "inbound" | "outbound";
  /** On the first hop: to the peer, or to its relay. */
  transport: TransportName;
  /** Whether the bytes pass through a relay. */
  relayed: boolean;
  /** The relay that carries them. */
  relayId: string | undefined;
  /** As last measured; undefined before. */
  roundTripMs: number | undefined;
  /** Bytes of its streams since its first connection opened, in and out. */
  sentBytes: number;
  receivedBytes: number;
  /** How far the direct way is while the connection is relayed. */
  punch: PunchState | undefined;
  /** Milliseconds since the epoch. */
  connectedAtMs: number;
  foundBy: FoundBy;
}

/** Told when a peer's first connection opens and when its last one is gone, unless the host itself closes. */
export interface PeerEvents {
  onPeerConnected(peer: PeerConnection): void;
  onPeerDisconnected(peerId: string): void;
  /** A direct connection appeared beside a relayed one, which ends soon. */
  onPeerMoved?(peerId: string): void;
  /** A connected peer told where it can be dialed; `addresses` are those of {@link PeerConnection}. */
  onPeerAddresses?(peerId: string, addresses: readonly string[]): void;
}

interface PeerRecord {
  foundBy: FoundBy;
  connectedAtMs: number;
  addresses: readonly string[];
  traffic: Traffic;
  /** When its use was last told, in milliseconds since the epoch. */
  activeAtMs: number;
}

/** What a table of peers works with. */
export interface PeerTableDeps {
  libp2p: Libp2p;
  events: PeerEvents;
  punchState(peerId: string): PunchState | undefined;
  /** A connected peer uses streams; told once a minute at most. */
  onActive(peerId: string): void;
  logger: Logger;
}

/** The connected peers of a node; it holds one record per peer that libp2p holds a connection of. */
export class PeerTable {
  readonly #records = new Map<string, PeerRecord>();
  readonly #dialing = new Map<string, FoundBy>();
  readonly #deps: PeerTableDeps;

  constructor(deps: PeerTableDeps) {
    this.#deps = deps;
    deps.libp2p.addEventListener("peer:connect", ({ detail }) => this.#onConnect(detail));
    deps.libp2p.addEventListener("peer:disconnect", ({ detail }) => this.#onDisconnect(detail));
    deps.libp2p.addEventListener("peer:identify", ({ detail }) => {
      const record = this.#records.get(detail.peerId.toString());
      if (record === undefined) return;
      const said = (detail.signedPeerRecord?.addresses ?? detail.listenAddrs)
        .filter((address) => isDialable(address, { from: detail.connection.remoteAddr }))
        .map((address) => bareAddress(address, detail.peerId));
      record.addresses = unique([...record.addresses, ...said]);
      this.#tell(() => this.#deps.events.onPeerAddresses?.(detail.peerId.toString(), record.addresses));
    });
  }

  /** Runs `dial`; a connection of `peerId` that opens meanwhile counts as found by `foundBy`. */
  async whileDialing<T>(peerId: string, foundBy: FoundBy, dial: () => Promise<T>): Promise<T> {
    this.#dialing.set(peerId, foundBy);
    try {
      return await dial();
    } finally {
      this.#dialing.delete(peerId);
    }
  }

  /** The open connection to use for `peerId`; both sides of several agree on which it is. */
  connectionTo(peerId: string): Connection | undefined {
    return this.connectionsTo(peerId)[0];
  }

  /**
   * The open connections of `peerId`, the best first: direct ones before relayed ones, of these what the side with the smaller
   * id has opened, of these the oldest.
   */
  connectionsTo(peerId: string): Connection[] {
    const { libp2p } = this.#deps;
    const smaller = libp2p.peerId.toString() < peerId ? "outbound" : "inbound";
    const rank = ({ remoteAddr, direction }: Connection) =>
      (isRelayed(remoteAddr) ? 2 : 0) + (direction === smaller ? 0 : 1);
    return libp2p.getConnections()
      .filter((connection) => connection.status === "open" && connection.remotePeer.toString() === peerId)
      .sort((a, b) => rank(a) - rank(b) || a.timeline.open - b.timeline.open);
  }

  get(peerId: string): PeerConnection | undefined {
    const record = this.#records.get(peerId);
    const connection = this.connectionTo(peerId);
    return record === undefined || connection === undefined ? undefined : this.#describe(connection, record);
  }

  all(): PeerConnection[] {
    return [...this.#records.keys()].flatMap((peerId) => this.get(peerId) ?? []);
  }

  /** Resolves when `peerId` has no connection any more, or when `signal` fires. */
  async whileConnected(peerId: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#records.has(peerId)) {
      const listening = new AbortController();
      const options = { signal: listening.signal };
      await new Promise<void>((resolve) => {
        this.#deps.libp2p.addEventListener("peer:disconnect", () => resolve(), options);
        signal.addEventListener("abort", () => resolve(), options);
      });
      listening.abort();
    }
  }

  /** Counts what passes on `stream` for its peer. */
  count(peerId: string, stream: Stream): void {
    const record = this.#records.get(peerId);
    if (record === undefined) return;
    countBytes(stream, record.traffic);
    if (Date.now() - record.activeAtMs < TELL_ACTIVE_MS) return;
    record.activeAtMs = Date.now();
    this.#deps.onActive(peerId);
  }

  #onConnect(id: PeerId): void {
    const peerId = id.toString();
    const connection = this.connectionTo(peerId);
    if (connection === undefined) return;
    const outbound = connection.direction === "outbound";
    const record: PeerRecord = {
      foundBy: outbound ? this.#dialing.get(peerId) ?? "dial" : "inbound",
      connectedAtMs: connection.timeline.open,
      traffic: { sentBytes: 0, receivedBytes: 0 },
      activeAtMs: 0,
      addresses: outbound ? [bareAddress(connection.remoteAddr, id)] : [],
    };
    this.#records.set(peerId, record);
    this.#tell(() => this.#deps.events.onPeerConnected(this.#describe(connection, record)));
  }

  #onDisconnect(id: PeerId): void {
    const peerId = id.toString();
    if (this.#records.delete(peerId)) this.#tell(() => this.#deps.events.onPeerDisconnected(peerId));
  }

  #describe(connection: Connection, record: PeerRecord): PeerConnection {
    const kind = kindOf(connection.remoteAddr);
    const peerId = connection.remotePeer.toString();
    return {
      peerId,
      address: connection.remoteAddr.toString(),
      addresses: record.addresses,
      direction: connection.direction,
      transport: kind?.transport ?? "tcp",
      relayed: isRelayed(connection.remoteAddr),
      relayId: kind?.relayId,
      roundTripMs: connection.rtt,
      ...record.traffic,
      punch: kind?.relayId === undefined ? undefined : this.#deps.punchState(peerId),
      connectedAtMs: record.connectedAtMs,
      foundBy: record.foundBy,
    };
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#deps.logger.error("A listener of peer connections failed", { error });
    }
  }
}

function bareAddress(address: Multiaddr, peerId: PeerId): string {
  return address.toString().replace(new RegExp(`/p2p/${peerId}$`), "");
}

function unique(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)].slice(0, MAX_ADDRESSES_PER_PEER);
}
