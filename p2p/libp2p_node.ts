import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { type Identify, identify } from "@libp2p/identify";
import type { AbortOptions, ComponentLogger, Connection, Libp2p, PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { yamux } from "@libp2p/yamux";
import { CODE_P2P, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { CodedError, errorMessage } from "../core/errors.ts";
import { dialBack } from "./autonat.ts";
import { silenceLockChannel } from "./broadcast_channel.ts";
import { isRelayed, kindOf } from "./address_kind.ts";
import {
  ADDRESS_DIAL_TIMEOUT_MS,
  CARD_PROTOCOL,
  LANE_PROTOCOL,
  MAX_STREAM_WINDOW_BYTES,
} from "./constants.ts";
import type { Dht } from "./dht.ts";
import type { DhtOptions } from "./dht_services.ts";
import { sparingWindows, writingWhole } from "./fewer_writes.ts";
import { Gater } from "./gater.ts";
import { negotiateAhead } from "./negotiate_ahead.ts";
import { noiseCrypto } from "./noise_crypto.ts";
import type { P2pLimits } from "./limits.ts";
import type { Proxy } from "./proxy.ts";
import { createTransports, type ReservationStore } from "./transports.ts";

/** Inbound connections that may be in the middle of their handshake. */
const MAX_PENDING_INBOUND = 64;
/** Streams of all protocols that one connection may have open towards us. */
const MAX_INBOUND_STREAMS_PER_CONNECTION = 256;
/** Locks of libp2p's address book end with timers of 1 ms, one of which may start the next; this lets them run out. */
const LAST_TIMERS_MS = 2;
const LAST_TIMER_ROUNDS = 4;

/** The encryption of connections over TCP, WebSocket and circuits (libp2p Noise specification). */
const NOISE_PROTOCOL = "/noise";

/** What a peer is taken to speak until it has said by identify what it does: who meets it wants to use these at once. */
const TAKEN_FOR_GRANTED: readonly string[] = [CARD_PROTOCOL, LANE_PROTOCOL];

const YAMUX = {
  maxInboundStreams: MAX_INBOUND_STREAMS_PER_CONNECTION,
  streamOptions: { maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES },
};

/** A libp2p node that does not listen yet. */
export interface Libp2pNode {
  readonly libp2p: Libp2p<{ identify: Identify }>;
  /** Binds `address`. Throws `unavailable` (in use, not ours) or `invalid_argument` (no multiaddr we can listen on). */
  listen(address: string): Promise<void>;
  /** Dials one address beside what is connected. Rejects with whatever the transport says. */
  dial(address: Multiaddr, options: { signal: AbortSignal }): Promise<Connection>;
  /** Whether a transport of this node takes `address`. */
  canDial(address: Multiaddr): boolean;
  /** What is listened on, wildcards expanded, without the addresses through relays. */
  listening(): Multiaddr[];
  /** Places at relays, as libp2p keeps them. */
  readonly reservations: ReservationStore;
  /** Signs what the node says about others. */
  readonly privateKey: PrivateKey;
  /** To be called when what {@link Libp2pNodeOptions.alsoAnnounced} answers has changed: connected peers are told. */
  announceChanged(): void;
  /** The DHT, when the node takes part in it. */
  readonly dht: Dht | undefined;
  /** Stops the node and the timers that libp2p forgets. */
  stop(): Promise<void>;
}

/** Identity, program name and limits of a node. */
export interface Libp2pNodeOptions {
  seed: Uint8Array;
  agentVersion: string;
  limits: P2pLimits;
  logger: ComponentLogger;
  /** Whether QUIC is spoken; never with a proxy. Default true. */
  quic?: boolean;
  /** Whether libp2p's WebTransport is spoken; never with a proxy. Default false. */
  webTransport?: boolean;
  /** Whether libp2p's WebRTC-direct is spoken; never with a proxy. Default false. */
  webRtcDirect?: boolean;
  /** Who may connect and be dialed. Default everybody. */
  gater?: Gater;
  /** Through which peers are dialed over TCP and WebSocket; nothing is dialed beside it then. Default none. */
  proxy?: Proxy | undefined;
  /** Addresses that peers are told beside those we listen on. Default none. */
  alsoAnnounced?(): readonly Multiaddr[];
  /** Takes part in the DHT. Default: not. */
  dht?: DhtOptions & { mode: "server" | "client" } | undefined;
}

/** What we use of libp2p's inner parts; the timers of some are stopped. */
interface Internals {
  transportManager: {
    listen(addresses: Multiaddr[]): Promise<void>;
    getAddrs(): Multiaddr[];
    dial(address: Multiaddr, options: AbortOptions): Promise<Connection>;
    dialTransportForMultiaddr(address: Multiaddr): unknown;
  };
  addressManager: {
    confirmObservedAddr(address: Multiaddr, options: { type: "transport"; ttl: number }): void;
    _updatePeerStoreAddresses: { (): void; stop?(): void };
  };
  upgrader: unknown;
  events: Pick<Libp2p, "addEventListener">;
  peerStore: Libp2p["peerStore"];
  connectionManager: {
    inboundConnectionRateLimiter?: {
      memoryStorage?: { storage?: Map<string, unknown>; delete?(key: string): void };
    };
  };
}

/** Creates the node: TCP, Noise, Yamux, identify. It dials once it is started and listens when told to. */
export async function createLibp2pNode(options: Libp2pNodeOptions): Promise<Libp2pNode> {
  silenceLockChannel();
  const { gater = new Gater() } = options;
  const captured: { internals?: Internals; reservations?: ReservationStore } = {};
  const privateKey = await generateKeyPairFromSeed("Ed25519", options.seed);
  const { dht, ...loaded } = await loadWanted(options);
  const libp2p = await createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { userAgent: options.agentVersion },
    logger: options.logger,
    addresses: { announceFilter: (addresses) => [...addresses, ...options.alsoAnnounced?.() ?? []] },
    transports: createTransports({ ...options, ...loaded }, (book) => captured.reservations = book),
    connectionGater: gater.toConnectionGater(),
    connectionEncrypters: [writingWhole(noise({ crypto: noiseCrypto }))],
    streamMuxers: [sparingWindows(yamux(YAMUX))],
    connectionManager: connectionOptions(options.limits),
    services: {
      // A service is handed libp2p's inner parts, which it otherwise keeps to itself. It comes before those who open streams.
      internals: (components) => {
        captured.internals = components as unknown as Internals;
        speakAhead(captured.internals);
        return {};
      },
      identify: identify(),
      autonat: dialBack(() => [
        ...captured.internals?.transportManager.getAddrs() ?? [],
        ...options.alsoAnnounced?.() ?? [],
      ]) as (components: unknown) => Record<string, never>,
      ...dht?.services as Record<string, never> | undefined,
    },
  });
  const { internals, reservations } = captured;
  if (internals === undefined || reservations === undefined) {
    throw new TypeError("libp2p did not create its services");
  }
  const { transportManager, addressManager } = internals;
  return {
    libp2p,
    privateKey,
    listen: (address) => listen(internals, address),
    dial: async (address, options) => {
      assertPermitted(gater, address);
      // libp2p's own queue tries one address after the other; it is needed where a name stands for several addresses.
      return await (kindOf(address) === undefined
        ? libp2p.dial(address, options)
        : transportManager.dial(address, options));
    },
    canDial: (address) => transportManager.dialTransportForMultiaddr(address) !== undefined,
    listening: () => transportManager.getAddrs().filter((address) => !isRelayed(address)),
    reservations,
    dht: dht?.dht(),
    announceChanged: () => addressManager._updatePeerStoreAddresses(),
    async stop() {
      await libp2p.stop();
      await stopForgottenTimers(internals);
    },
  };
}

function speakAhead({ upgrader, events, peerStore }: Internals): void {
  const identified = new WeakSet<Connection>();
  events.addEventListener("peer:identify", ({ detail: { connection } }) => identified.add(connection));
  negotiateAhead({
    upgrader,
    encryption: NOISE_PROTOCOL,
    onConnection: (listener) => events.addEventListener("connection:open", ({ detail }) => listener(detail)),
    speaks: async (connection, protocol) => {
      if (TAKEN_FOR_GRANTED.includes(protocol) && !identified.has(connection)) return true;
      try {
        return (await peerStore.get(connection.remotePeer)).protocols.includes(protocol);
      } catch {
        return false; // The peer store throws for a peer of which it knows nothing.
      }
    },
  });
}

/** What is loaded only when the options ask for it. */
async function loadWanted({ dht, webRtcDirect }: Libp2pNodeOptions) {
  return {
    dht: dht && (await import("./dht_services.ts")).createDhtServices(dht),
    webRtcDirect: webRtcDirect ? (await import("./webrtc/webrtc_transport.ts")).webRtcDirect : undefined,
  };
}

function assertPermitted(gater: Gater, address: Multiaddr): void {
  const peerId = address.getComponents().findLast(({ code }) => code === CODE_P2P)?.value ?? "";
  if (!gater.permits(peerId, address)) throw new Error("this node's configuration does not allow it");
}

function connectionOptions(limits: P2pLimits) {
  return {
    maxConnections: limits.maxConnections,
    inboundConnectionThreshold: limits.inboundConnectionsPerSecond,
    maxIncomingPendingConnections: MAX_PENDING_INBOUND,
    dialTimeout: limits.dialTimeoutMs,
    addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
  };
}

async function listen({ transportManager, addressManager }: Internals, address: string): Promise<void> {
  let parsed: Multiaddr;
  try {
    parsed = multiaddr(address);
  } catch (cause) {
    throw new CodedError("invalid_argument", `${couldNotListen(address)} ${errorMessage(cause)}`, { cause });
  }
  if (kindOf(parsed) === undefined) {
    const known =
      "/tcp/<port>, /tcp/<port>/ws, /udp/<port>/quic-v1/noise, /udp/<port>/quic-v1/webtransport and " +
      "/udp/<port>/webrtc-direct";
    const message = `${couldNotListen(address)} no transport listens there; known are ${known}`;
    throw new CodedError("invalid_argument", message);
  }
  try {
    await transportManager.listen([parsed]);
  } catch (cause) {
    const advice = "free it or choose another (tcp/0 takes a free port)";
    const message = `${couldNotListen(address)} ${listenReason(cause)}; ${advice}`;
    throw new CodedError("unavailable", message, { cause, details: { address } });
  }
  // Addresses of our own interfaces count as dialable; libp2p would hold back public ones until a peer has proved them.
  for (const bound of transportManager.getAddrs()) {
    addressManager.confirmObservedAddr(bound, { type: "transport", ttl: Number.MAX_SAFE_INTEGER });
  }
}

/** libp2p says it in a text of many lines with stack traces; the line that matters is the first that names an error. */
function listenReason(cause: unknown): string {
  const text = errorMessage(cause);
  return /^.*?Error: (?:listen )?(.+)$/m.exec(text)?.[1]?.trim() ?? text;
}

function couldNotListen(address: string): string {
  return `Could not listen on ${address}:`;
}

/** Clears the timers that libp2p leaves running after its stop, so that nothing of it outlives the host. */
async function stopForgottenTimers({ addressManager, connectionManager }: Internals): Promise<void> {
  addressManager._updatePeerStoreAddresses.stop?.();
  const storage = connectionManager.inboundConnectionRateLimiter?.memoryStorage;
  for (const key of storage?.storage?.keys() ?? []) storage?.delete?.(key);
  for (let round = 0; round < LAST_TIMER_ROUNDS; round++) {
    await new Promise((resolve) => setTimeout(resolve, LAST_TIMERS_MS));
  }
}
