import type { Connection, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { systemClock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { isDialable, isRelayed, kindOf } from "./address_kind.ts";
import type { Dialer } from "./dialer.ts";
import { HolePuncher, type PunchState } from "./hole_punch.ts";
import { NetworkWatch } from "./network_watch.ts";
import type { Libp2pNode } from "./libp2p_node.ts";
import { ObservedAddresses } from "./observed_addresses.ts";
import { PathCheck } from "./path_check.ts";
import { PathKeeper } from "./path_keeper.ts";
import { usableAddresses } from "./own_networks.ts";
import { toPeerAddress, toPeerId } from "./peer_address.ts";
import type { PeerTable } from "./peers.ts";
import { PortMapper } from "./port_mapping/port_mapper.ts";
import { RelayClient } from "./relay_client.ts";

/** Pause before a relay is dialed over QUIC again that could not be reached over it: when UDP is back, that shows it. */
const QUIC_AGAIN_MS = 5_000;

/** What being reached works with. */
export interface ReachDeps {
  node: Libp2pNode;
  peers: PeerTable;
  dialer: Dialer;
  ping(peerId: string, signal: AbortSignal): Promise<number>;
  /** Round trip over one connection. */
  pingOn(connection: Connection, signal: AbortSignal): Promise<number>;
  /** See {@link PathKeeper}. */
  onBetterPath(peerId: string): void;
  inBackground(work: Promise<void>): void;
  /** Ends everything when it fires. */
  signal: AbortSignal;
  logger: Logger;
}

/** What is done to be reached. */
export interface ReachOptions {
  /** Whether places at relays are kept. */
  relayClient: boolean;
  /** Whether relayed connections are turned into direct ones. */
  holePunching: boolean;
  /** Whether the router is asked to open the ports that are listened on. */
  portMapping: boolean;
}

/** How this node is reached from behind its NAT: places at relays, and direct ways found from there. */
export class Reach {
  readonly relays: RelayClient | undefined;
  readonly observed: ObservedAddresses;
  readonly ports: PortMapper | undefined;
  readonly #deps: ReachDeps;
  readonly #puncher: HolePuncher | undefined;
  readonly #pathCheck: PathCheck;
  readonly #dialingOverQuic = new Set<string>();
  /** When relays may be dialed over QUIC again, in milliseconds since the epoch. */
  readonly #quicAgainAtMs = new Map<string, number>();

  constructor(deps: ReachDeps, options: ReachOptions) {
    const { node, peers, dialer, ping, pingOn, onBetterPath, inBackground, signal, logger } = deps;
    const { libp2p } = node;
    const clock = systemClock;
    this.#deps = deps;
    this.observed = new ObservedAddresses(libp2p);
    const connectionsTo = peers.connectionsTo.bind(peers);
    const needsAll = (peerId: string) => this.relays?.isRelay(peerId) ?? false;
    new PathKeeper({ libp2p, connectionsTo, needsAll, onBetterPath, inBackground, signal, clock, logger });
    this.#pathCheck = new PathCheck({
      ping: pingOn,
      dialRelayed: (peerId, until) => dialer.dialRelayed(peerId, until),
      ...{ libp2p, connectionsTo, needsAll, inBackground, signal, clock, logger },
    });
    this.relays = !options.relayClient ? undefined : new RelayClient({
      ...{ node, peers, ping, clock, logger },
      lookThrough: (relayId) => inBackground(this.#connectOverQuic(relayId, signal)),
    });
    libp2p.addEventListener("peer:identify", ({ detail: { peerId, connection } }) => {
      const relayId = peerId.toString();
      if (signal.aborted || isRelayed(connection.remoteAddr) || !this.relays?.keeps(relayId)) return;
      // UDP gets through, perhaps for the first time in a while, and it is known how the relay sees this node.
      if (isQuic(connection.remoteAddr)) this.#puncher?.retry();
      else inBackground(this.#connectOverQuic(relayId, signal));
    });
    this.ports = !options.portMapping ? undefined : new PortMapper({
      findGateway: async (until) => (await import("./port_mapping/find_gateway.ts")).findGateway(until),
      listening: () => node.listening(),
      onChange: () => node.announceChanged(),
      ...{ clock, logger },
    });
    this.#puncher = !options.holePunching ? undefined : new HolePuncher({
      libp2p,
      hasDirect: (peerId) => {
        const connection = peers.connectionTo(peerId);
        return connection !== undefined && !isRelayed(connection.remoteAddr);
      },
      dial: (address, until) => dialer.dialAddress(address, until),
      ownAddresses: () => this.#meetingPoints(),
      ...{ inBackground, signal, clock, logger },
    });
  }

  /** Takes part in the hole punches of others. */
  async register(): Promise<void> {
    await this.#puncher?.register();
  }

  /** Has the router open the ports that are listened on by now, and follows this machine from network to network. */
  start(): void {
    const { inBackground, signal, logger } = this.#deps;
    if (this.ports !== undefined) inBackground(this.ports.run(signal));
    const watch = new NetworkWatch({
      addresses: usableAddresses,
      onChange: () => this.#onOtherNetwork(),
      ...{ clock: systemClock, logger },
    });
    inBackground(watch.run(signal));
  }

  #onOtherNetwork(): void {
    const { node, dialer } = this.#deps;
    dialer.forgetFailures();
    this.#quicAgainAtMs.clear();
    this.ports?.lookAgain();
    node.announceChanged();
    this.#puncher?.retry();
  }

  /** See {@link PathCheck.doubt}. */
  doubt(peerId: string): void {
    this.#pathCheck.doubt(peerId);
  }

  /** How far the direct way to a relayed peer is; what is in the way here explains more than how dials ended. */
  punchState(peerId: string): PunchState | undefined {
    const state = this.#puncher?.state(peerId);
    const own = this.observed.obstacle({ hasRelay: (this.relays?.ownAddresses().length ?? 0) > 0 });
    return state?.reason === undefined || own === undefined ? state : { ...state, reason: own };
  }

  /** Where a peer may meet this node directly: as relays see its sockets, then at its own addresses. */
  #meetingPoints(): Multiaddr[] {
    const own = this.#deps.node.libp2p.getMultiaddrs().filter((address) => !isRelayed(address));
    return [...this.observed.all(), ...own];
  }

  async #addressesOf(id: PeerId): Promise<Multiaddr[]> {
    try {
      const { addresses } = await this.#deps.node.libp2p.peerStore.get(id);
      return addresses.map(({ multiaddr }) => multiaddr);
    } catch {
      return []; // The peer store throws for a peer of which it knows nothing.
    }
  }

  /**
   * Connects to a relay over QUIC beside TCP: so the relay sees the address that NATs give our socket, and they keep it.
   * A relay that has no QUIC, or cannot be reached over it, is left at that.
   */
  async #connectOverQuic(relayId: string, signal: AbortSignal): Promise<void> {
    const { node, dialer, logger } = this.#deps;
    const id = toPeerId(relayId);
    const connected = node.libp2p.getConnections(id).map(({ remoteAddr }) => remoteAddr);
    const [from] = connected;
    if (from === undefined || connected.some(isQuic) || this.#dialingOverQuic.has(relayId)) return;
    if (systemClock.now() < (this.#quicAgainAtMs.get(relayId) ?? 0)) return;
    this.#dialingOverQuic.add(relayId);
    try {
      const address = (await this.#addressesOf(id)).map((one) => toPeerAddress(one.toString(), relayId))
        .find((one) => isQuic(one) && isDialable(one, { from }) && node.canDial(one));
      if (address !== undefined) await dialer.dialAddress(address, signal);
    } catch (error) {
      this.#quicAgainAtMs.set(relayId, systemClock.now() + QUIC_AGAIN_MS);
      logger.debug("A relay is not reached over QUIC", { relay: relayId, reason: errorMessage(error) });
    } finally {
      this.#dialingOverQuic.delete(relayId);
    }
  }
}

function isQuic(address: Multiaddr): boolean {
  return !isRelayed(address) && kindOf(address)?.transport === "quic";
}
