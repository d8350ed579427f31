import type { Multiaddr } from "@multiformats/multiaddr";
import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { keepConnected, toBootstrapTargets } from "./bootstrap.ts";
import { ByteBudget } from "./byte_budget.ts";
import { CLOSE_TIMEOUT_MS } from "./constants.ts";
import { withDeadline } from "./deadline.ts";
import type { Dht } from "./dht.ts";
import type { DhtOptions } from "./dht_services.ts";
import { Dialer } from "./dialer.ts";
import type { FrameChannel } from "./frame_channel.ts";
import { type FrameHandlers, InboundStreams } from "./inbound.ts";
import { Gater, type GaterOptions } from "./gater.ts";
import { createLibp2pLogger } from "./libp2p_logger.ts";
import { createLibp2pNode, type Libp2pNode } from "./libp2p_node.ts";
import { type P2pLimits, resolveLimits } from "./limits.ts";
import { MdnsDiscovery, type MdnsOptions } from "./mdns.ts";
import { MdnsDialer } from "./mdns_dialer.ts";
import { type CallOptions, OutboundStreams } from "./outbound.ts";
import { type PeerTarget, toAnnounced, toPeerAddress } from "./peer_address.ts";
import { parseProxy } from "./proxy.ts";
import { Reach, type ReachDeps, type ReachOptions } from "./reach.ts";
import type { NatMapping } from "./observed_addresses.ts";
import type { RelayStatus } from "./relay_client.ts";
import { PeerMemory } from "./peer_memory.ts";
import type { PortMapping } from "./port_mapping/port_mapper.ts";
import { type RelayLimits, resolveRelayLimits } from "./relay_server/relay_limits.ts";
import { RelayServer } from "./relay_server/relay_server.ts";
import { type PeerConnection, type PeerEvents, PeerTable } from "./peers.ts";

/** What the owner of a host does with what happens on it; whatever these throw is logged. */
export interface P2pHandlers extends FrameHandlers, PeerEvents {
  /** Where this node is reached may have changed. */
  onOwnAddresses?(): void;
}

/** Pauses before a relay is dialed again at which this node had a place: nobody reaches it meanwhile. */
const RELAY_DELAYS = { minMs: 250, maxMs: 3_000 };

/** What a node knows about being reached from outside. */
export interface Reachability {
  nat: "unknown" | "public" | "private";
  /** See {@link NatMapping}. */
  mapping: NatMapping;
  /** Where others see its UDP socket. */
  observed: string[];
  /** Ports that the router has opened for it. */
  ports: PortMapping;
}

/** What a host works with. */
export interface P2pHostDeps {
  /** 32-byte Ed25519 seed; it decides the peer id. */
  seed: Uint8Array;
  handlers: P2pHandlers;
  logger: Logger;
}

/** How a host listens, finds peers and bounds itself. */
export interface P2pHostOptions {
  /** Multiaddrs to listen on, such as `/ip4/0.0.0.0/tcp/0`; empty = dial only. */
  listen: readonly string[];
  /** Peers to stay connected to; each multiaddr ends in `/p2p/<peer id>`. Default none. */
  bootstrapPeers?: readonly string[];
  /**
   * Whether a bootstrap peer that relays is asked for a place, at which this node is then reachable, and peers are dialed
   * through it when nothing else goes. Default true.
   */
  relayClient?: boolean;
  /** Whether relayed connections are turned into direct ones where NATs allow it. Default true. */
  holePunching?: boolean;
  /** Whether the router is asked to open the ports that are listened on, unless that is loopback alone. Default false. */
  portMapping?: boolean;
  /** Whether QUIC is spoken; never with a proxy. Default true. */
  quic?: boolean;
  /** Whether libp2p's WebTransport is spoken; never with a proxy. Default false. */
  webTransport?: boolean;
  /** Whether libp2p's WebRTC-direct is spoken; never with a proxy. Default false. */
  webRtcDirect?: boolean;
  /** Who may connect and be dialed. Default everybody. */
  access?: GaterOptions;
  /** `http://`, `https://` or `socks5://[user:password@]host:port`: peers are dialed through it over TCP and WebSocket, and nothing beside it. */
  proxy?: string | undefined;
  /** Relays for others within these limits, the defaults for those not given. Default: relays for nobody. */
  relayServer?: Partial<RelayLimits>;
  /** Multiaddrs that peers are told beside those that are listened on, such as that of a port forwarded here. Default none. */
  announce?: readonly string[];
  mdns: MdnsOptions;
  /** Name and version that peers are told. */
  agentVersion: string;
  /** Protocols of which peers may open channels; `onChannel` takes them. Default none. */
  channelProtocols?: readonly string[];
  /** Takes part in the DHT. Default: not. */
  dht?: DhtOptions | undefined;
  /** Default see {@link P2pLimits}. */
  limits?: Partial<P2pLimits>;
}

/** A libp2p node of this program: it carries frames between peers and knows nothing of what is in them. */
export interface P2pHost extends AsyncDisposable {
  readonly peerId: string;
  /** Dialable multiaddrs, wildcards expanded to the addresses of the interfaces, each ending in `/p2p/<id>`. */
  addresses(): string[];
  /** The connected peers. */
  peers(): PeerConnection[];
  isConnected(peerId: string): boolean;
  /** Those of {@link addresses} that lead through relays, the healthiest relay first. */
  relayedAddresses(): string[];
  /** The relays among the bootstrap peers and what they are to this node, the healthiest first. */
  relays(): RelayStatus[];
  /** What this node knows about being reached from outside. */
  reachability(): Reachability;
  /**
   * Connects to a peer; being connected is fine. `addresses` may lack or carry `/p2p/<id>`; empty = what is known.
   * Takes at most `dialTimeoutMs`. Throws `invalid_argument` (own id, malformed, an address that names another peer),
   * `unavailable` (none of the addresses answers as that peer), and `cancelled` or `deadline_exceeded` by `signal`.
   */
  connect(peerId: string, addresses: readonly string[], options?: CallOptions): Promise<PeerConnection>;
  /**
   * Sends one frame on a stream that nothing else uses meanwhile; resolves when the transport has it, which says nothing
   * about the peer. Dials known addresses when unconnected. Throws `invalid_argument` (frame too long), `unavailable`,
   * `unimplemented` (the peer does not speak the protocol), `resource_exhausted`, `deadline_exceeded`, `cancelled`.
   */
  sendA2aFrame(peerId: string, frame: Uint8Array, options?: CallOptions): Promise<void>;
  /** Offers a card and resolves with the peer's, or undefined when it gives none. Throws as {@link sendA2aFrame}. */
  exchangeCard(peerId: string, frame: Uint8Array, options?: CallOptions): Promise<Uint8Array | undefined>;
  /**
   * Opens a channel, dialing known addresses when unconnected; what is read and written on it is bounded as that of peers.
   * It is the caller's to close. Throws as {@link sendA2aFrame}; `unimplemented` when the peer does not speak `protocol`: here, or
   * from the channel when that is not known yet.
   */
  openChannel(peerId: string, protocol: string, options?: CallOptions): Promise<FrameChannel>;
  /**
   * Puts addresses that were learned earlier into the address book, without dialing. Malformed ones and those of another
   * peer are skipped, all but the first 16 left out.
   */
  remember(peerId: string, addresses: readonly string[]): Promise<void>;
  /**
   * A peer owes an answer and says nothing. If it answers through a relay and not directly, its direct connection ends, and
   * what was under way there fails.
   */
  doubt(peerId: string): void;
  /** Round trip to a peer in milliseconds. Throws as {@link sendA2aFrame}. */
  ping(peerId: string, options?: CallOptions): Promise<number>;
  /** The relay for others; undefined unless the options asked for one. */
  readonly relayServer: Pick<RelayServer, "stats" | "hasReservation"> | undefined;
  /** The DHT, when this node takes part in it. */
  readonly dht: Dht | undefined;
}

/**
 * Opens a host: it listens on all of `options.listen` when this resolves, and stops when it is disposed. Throws
 * `unavailable` when an address cannot be bound, `invalid_argument` for a malformed address; nothing then stays open.
 */
export async function openP2pHost(deps: P2pHostDeps, options: P2pHostOptions): Promise<P2pHost> {
  const limits = resolveLimits(options.limits);
  const bootstrapTargets = toBootstrapTargets(options.bootstrapPeers ?? []);
  const announced = (options.announce ?? []).map(toAnnounced);
  let host: Libp2pHost | undefined = undefined;
  const node = await createLibp2pNode({
    seed: deps.seed,
    agentVersion: options.agentVersion,
    limits,
    quic: options.quic ?? true,
    webTransport: options.webTransport ?? false,
    webRtcDirect: options.webRtcDirect ?? false,
    gater: new Gater(options.access),
    proxy: options.proxy === undefined ? undefined : parseProxy(options.proxy),
    dht: options.dht && { ...options.dht, mode: dhtModeOf(options.dht, options.listen) },
    logger: createLibp2pLogger(deps.logger),
    alsoAnnounced: (): Multiaddr[] =>
      host === undefined ? [] : [
        ...announced.map((address) => toPeerAddress(address.toString(), (host as Libp2pHost).peerId)),
        ...host.mappedMultiaddrs(),
        ...host.relayedMultiaddrs(),
      ],
  });
  const { channelProtocols = [], relayClient = true, holePunching = true, portMapping = false, relayServer } =
    options;
  const relayLimits = relayServer && resolveRelayLimits(relayServer);
  const reach = { relayClient, holePunching, portMapping };
  host = new Libp2pHost(node, deps, { limits, channelProtocols, reach, relayLimits });
  try {
    await host.start(options.listen);
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
  for (const target of bootstrapTargets) host.keepConnected(target);
  if (options.mdns.enabled) host.discover(options.mdns);
  return host;
}

/** What a host is made with beside its dependencies. */
interface HostSetup {
  limits: P2pLimits;
  channelProtocols: readonly string[];
  reach: ReachOptions;
  relayLimits: RelayLimits | undefined;
}

class Libp2pHost implements P2pHost {
  readonly peerId: string;
  readonly #node: Libp2pNode;
  readonly #logger: Logger;
  readonly #limits: P2pLimits;
  readonly #closing = new AbortController();
  readonly #background = new Set<Promise<void>>();
  readonly #peers: PeerTable;
  readonly #dialer: Dialer;
  readonly #memory: PeerMemory;
  readonly #inbound: InboundStreams;
  readonly #outbound: OutboundStreams;
  readonly #mdnsDialer: MdnsDialer;
  readonly #reach: Reach;
  readonly relayServer: RelayServer | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    node: Libp2pNode,
    { handlers, logger }: P2pHostDeps,
    { limits, channelProtocols, reach, relayLimits }: HostSetup,
  ) {
    const { libp2p } = node;
    const { signal } = this.#closing;
    this.#node = node;
    this.#logger = logger;
    this.#limits = limits;
    this.peerId = libp2p.peerId.toString();
    const memory = new PeerMemory({ libp2p, maxPeers: limits.maxRememberedPeers, logger });
    const budget = new ByteBudget({
      totalBytes: limits.maxInboundBytes,
      bytesPerPeer: limits.maxInboundBytesPerPeer,
    });
    const punchState = (peerId: string) => this.#reach.punchState(peerId);
    const peers = new PeerTable({
      ...{ libp2p, events: this.#peerEvents(handlers), punchState, logger },
      onActive: (peerId) => this.#runInBackground(memory.protect(peerId, "active")),
    });
    const dialer = new Dialer({
      node,
      peers,
      memory,
      relayedAddresses: (peerId) => this.#reach.relays?.addressesOf(peerId) ?? [],
      inBackground: (work) => this.#runInBackground(work),
      dialTimeoutMs: limits.dialTimeoutMs,
      signal,
    });
    this.#peers = peers;
    this.#dialer = dialer;
    this.#inbound = new InboundStreams({
      libp2p,
      handlers,
      channelProtocols,
      budget,
      limits,
      onStream: (peerId, stream) => peers.count(peerId, stream),
      logger,
      signal,
    });
    this.relayServer = relayLimits && new RelayServer({ ...node, logger }, relayLimits);
    this.#memory = memory;
    this.#outbound = new OutboundStreams({ peers, dialer, budget, limits, signal });
    this.#mdnsDialer = new MdnsDialer({
      dialer,
      isConnected: (peerId) => this.isConnected(peerId),
      signal,
      logger,
    });
    this.#reach = new Reach(this.#reachDeps(handlers), reach);
    libp2p.addEventListener("self:peer:update", () => handlers.onOwnAddresses?.());
  }

  #reachDeps(handlers: P2pHandlers): ReachDeps {
    return {
      node: this.#node,
      peers: this.#peers,
      dialer: this.#dialer,
      ping: (peerId, signal) => this.#outbound.ping(peerId, { signal }),
      pingOn: (connection, signal) => this.#outbound.pingOn(connection, signal),
      onBetterPath: (peerId) => {
        this.#outbound.leaveOldPath(peerId);
        handlers.onPeerMoved?.(peerId);
      },
      inBackground: (work) => this.#runInBackground(work),
      signal: this.#closing.signal,
      logger: this.#logger,
    };
  }

  #peerEvents(handlers: P2pHandlers): PeerEvents {
    return {
      onPeerConnected: (peer) => handlers.onPeerConnected(peer),
      onPeerDisconnected: (peerId) => {
        this.#mdnsDialer.onDisconnected(peerId);
        this.#runInBackground(this.#memory.touch(peerId));
        handlers.onPeerDisconnected(peerId);
      },
      onPeerAddresses: (peerId, addresses) => handlers.onPeerAddresses?.(peerId, addresses),
    };
  }

  async start(listen: readonly string[]): Promise<void> {
    await this.#inbound.register();
    await this.#reach.register();
    await this.relayServer?.start();
    await this.#node.libp2p.start();
    for (const address of listen) await this.#node.listen(address);
    this.#reach.start();
  }

  keepConnected(target: PeerTarget): void {
    if (target.peerId === this.peerId) return;
    const { reconnectMinMs, reconnectMaxMs } = this.#limits;
    const { relays } = this.#reach;
    const reserved = () => relays?.isRelay(target.peerId) ?? false;
    this.#runInBackground(keepConnected({
      dialer: this.#dialer,
      whileConnected: (peerId, signal) => {
        this.#runInBackground(this.#memory.protect(peerId, "configured"));
        return (relays ?? this.#peers).whileConnected(peerId, signal);
      },
      onUnreachable: (peerId, error) => relays?.unreachable(peerId, error),
      logger: this.#logger,
    }, {
      target,
      delays: () => reserved() ? RELAY_DELAYS : { minMs: reconnectMinMs, maxMs: reconnectMaxMs },
      signal: this.#closing.signal,
    }));
  }

  discover(options: MdnsOptions): void {
    const discovery = new MdnsDiscovery({
      peerId: this.peerId,
      addresses: () => this.addresses(),
      onPeer: (peerId, addresses) => this.#mdnsDialer.onPeer(peerId, addresses),
      logger: this.#logger,
    }, options);
    this.#runInBackground(discovery.run(this.#closing.signal));
  }

  addresses(): string[] {
    return this.#node.libp2p.getMultiaddrs().map((address) => address.toString());
  }

  mappedMultiaddrs(): Multiaddr[] {
    return this.#reach.ports?.addresses().map((address) => toPeerAddress(address.toString(), this.peerId)) ??
      [];
  }

  relayedMultiaddrs(): Multiaddr[] {
    return this.#reach.relays?.ownAddresses() ?? [];
  }

  relayedAddresses(): string[] {
    return this.relayedMultiaddrs().map(String);
  }

  reachability(): Reachability {
    const { observed } = this.#reach;
    const ports = this.#reach.ports?.status() ?? { state: "off", addresses: [] };
    return {
      nat: observed.verdict(),
      mapping: observed.mapping(),
      observed: observed.all().map(String),
      ports,
    };
  }

  relays(): RelayStatus[] {
    return this.#reach.relays?.statuses() ?? [];
  }

  peers(): PeerConnection[] {
    return this.#peers.all();
  }

  isConnected(peerId: string): boolean {
    return this.#peers.get(peerId) !== undefined;
  }

  async connect(
    peerId: string,
    addresses: readonly string[],
    { signal }: CallOptions = {},
  ): Promise<PeerConnection> {
    this.#ensureOpen();
    return await this.#dialer.connect(peerId, addresses, { foundBy: "dial", signal });
  }

  async sendA2aFrame(peerId: string, frame: Uint8Array, options: CallOptions = {}): Promise<void> {
    this.#ensureOpen();
    await this.#outbound.sendA2aFrame(peerId, frame, options);
  }

  async exchangeCard(
    peerId: string,
    frame: Uint8Array,
    options: CallOptions = {},
  ): Promise<Uint8Array | undefined> {
    this.#ensureOpen();
    return await this.#outbound.exchangeCard(peerId, frame, options);
  }

  async openChannel(peerId: string, protocol: string, options: CallOptions = {}): Promise<FrameChannel> {
    this.#ensureOpen();
    return await this.#outbound.openChannel(peerId, protocol, options);
  }

  async remember(peerId: string, addresses: readonly string[]): Promise<void> {
    this.#ensureOpen();
    if (peerId !== this.peerId) await this.#memory.remember(peerId, addresses);
  }

  doubt(peerId: string): void {
    this.#reach.doubt(peerId);
  }

  get dht(): Dht | undefined {
    return this.#node.dht;
  }

  async ping(peerId: string, options: CallOptions = {}): Promise<number> {
    this.#ensureOpen();
    return await this.#outbound.ping(peerId, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new CodedError("unavailable", "The host is closing"));
    try {
      await withDeadline(
        { timeoutMs: CLOSE_TIMEOUT_MS },
        (signal) => Promise.race([this.#stopAll(), aborted(signal)]),
      );
    } catch (error) {
      this.#logger.warn("The p2p host did not stop in order", { error });
    }
  }

  async #stopAll(): Promise<void> {
    this.#outbound[Symbol.dispose]();
    this.relayServer?.[Symbol.dispose]();
    await Promise.all([...this.#background, this.#mdnsDialer.idle()]);
    await this.#node.stop();
    await Promise.all([...this.#background, this.#inbound.idle()]);
  }

  #ensureOpen(): void {
    if (this.#closed !== undefined) {
      throw new CodedError("unavailable", "The p2p host is closed: open a new one");
    }
  }

  /** Keeps `work`, which never rejects, so that closing waits for it. */
  #runInBackground(work: Promise<void>): void {
    const task = work.finally(() => this.#background.delete(task));
    this.#background.add(task);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Connected peers are not told of a later change: whoever listens serves from the start. */
function dhtModeOf({ mode }: DhtOptions, listen: readonly string[]): "server" | "client" {
  return mode === "auto" ? listen.length > 0 ? "server" : "client" : mode;
}
