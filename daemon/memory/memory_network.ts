import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { FrameChannel, P2pHandlers, P2pHost, PeerConnection } from "../../p2p/mod.ts";
import { channelPair, type Way } from "./memory_channel.ts";
import { MemoryHost } from "./memory_host.ts";

/** How long nodes take to find each other again after a connection broke, in milliseconds of the clock. */
const FIND_AGAIN_MS = 1_000;

/** What a host of a {@link MemoryNetwork} is opened with. */
export interface MemoryHostDeps {
  readonly peerId: string;
  readonly handlers: P2pHandlers;
  readonly channelProtocols: readonly string[];
  readonly logger: Logger;
}

/** Two hosts that are connected. */
export interface MemoryConnection {
  readonly dialer: string;
  readonly connectedAtMs: number;
  /** Fires when it breaks. */
  readonly broken: AbortSignal;
}

/** What goes wrong on the way from one host to another. */
interface Faults {
  delayMs: number;
  /** Messages that are still to be lost, each with the connection that carries it. */
  losses: number;
}

/**
 * Hosts joined in memory, which all find each other, as on one local link. It loses, delays and cuts what it is told to, and
 * nothing else happens by chance. Time is that of `clock`.
 */
export class MemoryNetwork implements Disposable {
  readonly clock: Clock;
  readonly #hosts = new Map<string, MemoryHost>();
  readonly #connections = new Map<string, { connection: MemoryConnection; over: AbortController }>();
  readonly #cut = new Set<string>();
  readonly #offline = new Set<string>();
  readonly #faults = new Map<string, Faults>();
  readonly #closing = new AbortController();
  /** Counts all that happens, so that one can see that nothing happens any more. */
  activity = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Opens a host, which all others find in the next turn. Throws `already_exists`. */
  open(deps: MemoryHostDeps): P2pHost {
    if (this.#hosts.has(deps.peerId)) {
      throw new CodedError("already_exists", `The network has a host ${deps.peerId} already`);
    }
    const host = new MemoryHost(this, deps);
    this.#hosts.set(deps.peerId, host);
    queueMicrotask(() => this.#findAll(deps.peerId));
    return host;
  }

  /** The host leaves; nothing when it has left already. */
  leave(host: MemoryHost): void {
    if (this.#hosts.get(host.peerId) === host) this.vanish(host.peerId);
  }

  /** A host is gone from one moment to the next, without knowing of it itself. */
  vanish(peerId: string): void {
    for (const other of this.peersOf(peerId)) this.#break(peerId, other, { except: peerId });
    this.#hosts.delete(peerId);
  }

  /** Cuts the link between two hosts, until it is healed. */
  cut(a: string, b: string): void {
    this.#cut.add(linkOf(a, b));
    this.#break(a, b);
  }

  heal(a: string, b: string): void {
    this.#cut.delete(linkOf(a, b));
    this.#find(a, b);
  }

  /** Takes a host off the network, or puts it back. */
  setOnline(peerId: string, isOnline: boolean): void {
    if (isOnline) {
      this.#offline.delete(peerId);
      return this.#findAll(peerId);
    }
    this.#offline.add(peerId);
    for (const other of this.peersOf(peerId)) this.#break(peerId, other);
  }

  /** What leaves `from` for `to` from now on arrives so much later. */
  delay(from: string, to: string, delayMs: number): void {
    this.#faultsOf(from, to).delayMs = delayMs;
  }

  /** The next `count` messages from `from` to `to` are lost, each with the connection that carries it. */
  drop(from: string, to: string, count: number): void {
    this.#faultsOf(from, to).losses = count;
  }

  connectionOf(a: string, b: string): MemoryConnection | undefined {
    return this.#connections.get(linkOf(a, b))?.connection;
  }

  /** The connected hosts, in the order in which they joined. */
  peersOf(peerId: string): string[] {
    return [...this.#hosts.keys()].filter((other) => this.connectionOf(peerId, other) !== undefined);
  }

  /** Connects two hosts; being connected is fine. Throws `unavailable`. */
  connect(from: string, to: string): MemoryConnection {
    const known = this.connectionOf(from, to);
    if (known !== undefined) return known;
    const [dialer, target] = [this.#hosts.get(from), this.#hosts.get(to)];
    if (dialer === undefined || target === undefined || !this.#isWhole(from, to)) {
      throw new CodedError("unavailable", `Could not connect to ${to}: it cannot be reached`);
    }
    this.activity++;
    const over = new AbortController();
    const connection = { dialer: from, connectedAtMs: this.clock.now(), broken: over.signal };
    this.#connections.set(linkOf(from, to), { connection, over });
    dialer.onConnected(to);
    target.onConnected(from);
    return connection;
  }

  /** Carries one message: waits as long as it takes. Throws `unavailable` when it is lost, or the connection breaks meanwhile. */
  async carry(from: string, to: string): Promise<MemoryHost> {
    const way = this.#wayFrom(from, to);
    await way.pass();
    const host = this.#hosts.get(to);
    if (host === undefined) throw lostError();
    return host;
  }

  /** Opens a channel to a peer and lets it serve it. Throws `unavailable`, `unimplemented`. */
  async openChannel(from: string, to: string, protocol: string): Promise<FrameChannel> {
    const { broken } = this.connect(from, to);
    const host = await this.carry(from, to);
    if (!host.serves(protocol)) {
      throw new CodedError("unimplemented", `${to} does not speak ${protocol}`);
    }
    const { near, far } = channelPair({
      ...{ near: from, far: to, broken },
      there: this.#wayFrom(from, to),
      back: this.#wayFrom(to, from),
    });
    host.serve(far, protocol);
    return near;
  }

  /** How long a message takes there and back, in milliseconds of the clock. */
  roundTripMs(a: string, b: string): number {
    return this.#faultsOf(a, b).delayMs + this.#faultsOf(b, a).delayMs;
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
  }

  #wayFrom(from: string, to: string): Way {
    const { broken } = this.connect(from, to);
    return {
      pass: async () => {
        this.activity++;
        const faults = this.#faultsOf(from, to);
        if (broken.aborted) throw lostError();
        if (faults.losses > 0) {
          faults.losses--;
          this.#break(from, to);
          throw lostError();
        }
        if (faults.delayMs > 0) {
          await this.clock.sleep(faults.delayMs, broken).catch(() => {/* seen below */});
        }
        if (broken.aborted) throw lostError();
        this.activity++;
      },
    };
  }

  #break(a: string, b: string, { except }: { except?: string } = {}): void {
    const link = linkOf(a, b);
    const found = this.#connections.get(link);
    if (found === undefined) return;
    this.activity++;
    this.#connections.delete(link);
    found.over.abort(lostError());
    for (const [peerId, other] of [[a, b], [b, a]] as const) {
      if (peerId !== except) this.#hosts.get(peerId)?.onDisconnected(other);
    }
    this.clock.sleep(FIND_AGAIN_MS, this.#closing.signal).then(() => this.#find(a, b), () => {
      // The network is gone.
    });
  }

  /** As hosts on one link find each other. */
  #find(a: string, b: string): void {
    if (this.#hosts.has(a) && this.#hosts.has(b) && this.#isWhole(a, b)) this.connect(a, b);
  }

  #findAll(peerId: string): void {
    for (const other of this.#hosts.keys()) if (other !== peerId) this.#find(peerId, other);
  }

  #isWhole(a: string, b: string): boolean {
    return !this.#cut.has(linkOf(a, b)) && !this.#offline.has(a) && !this.#offline.has(b);
  }

  #faultsOf(from: string, to: string): Faults {
    const way = `${from} ${to}`;
    const faults = this.#faults.get(way) ?? { delayMs: 0, losses: 0 };
    this.#faults.set(way, faults);
    return faults;
  }
}

/** As {@link P2pHost.peers} tells it. */
export function toPeerConnection(
  peerId: string,
  { connection, roundTripMs, own }: { connection: MemoryConnection; roundTripMs: number; own: string },
): PeerConnection {
  return {
    peerId,
    address: addressOf(peerId),
    addresses: [],
    direction: connection.dialer === own ? "outbound" : "inbound",
    transport: "tcp",
    relayed: false,
    relayId: undefined,
    roundTripMs,
    sentBytes: 0,
    receivedBytes: 0,
    punch: undefined,
    connectedAtMs: connection.connectedAtMs,
    foundBy: "mdns",
  };
}

/** Where a host of the network would be dialed, if that were needed. */
export function addressOf(peerId: string): string {
  return `/memory/1/p2p/${peerId}`;
}

function linkOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

function lostError(): CodedError {
  return new CodedError("unavailable", "The connection was lost");
}
