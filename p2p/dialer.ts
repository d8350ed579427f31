import type { Connection, PeerId } from "@libp2p/interface";
import { isPrivateIp } from "@libp2p/utils";
import type { Multiaddr } from "@multiformats/multiaddr";
import { abortable } from "../core/abortable.ts";
import { CodedError, errorMessage, toCodedError } from "../core/errors.ts";
import { isLoopbackHost, isRelayed, kindOf } from "./address_kind.ts";
import { ADDRESS_DIAL_TIMEOUT_MS } from "./constants.ts";
import { withDeadline } from "./deadline.ts";
import { DialBackoff } from "./dial_backoff.ts";
import { type DialPlan, raceDials } from "./dial_race.ts";
import type { Libp2pNode } from "./libp2p_node.ts";
import { isOnOwnNetwork } from "./own_networks.ts";
import { toPeerAddress, toPeerId } from "./peer_address.ts";
import type { PeerMemory } from "./peer_memory.ts";
import type { FoundBy, PeerConnection, PeerTable } from "./peers.ts";

/** Reasons and addresses that an error names; the rest is counted. */
const MAX_NAMED = 5;
/** Addresses of one peer that are dialed at most. */
const MAX_DIALED = 24;

/** What a dialer works with. */
export interface DialerDeps {
  node: Libp2pNode;
  peers: PeerTable;
  memory: PeerMemory;
  /** Addresses through this node's own relays at which a peer may be, whatever is known of it. */
  relayedAddresses(peerId: string): readonly Multiaddr[];
  /** Takes dials that go on beside a connection that is in use. */
  inBackground(work: Promise<void>): void;
  /** Longest time for one call. */
  dialTimeoutMs: number;
  /** Ends every dial when it fires. */
  signal: AbortSignal;
}

/** Who asks, and until when. */
export interface DialOptions {
  foundBy: FoundBy;
  signal?: AbortSignal | undefined;
}

/** A dial under way; it is given up when nobody waits for it any more. */
interface Dialing {
  readonly connection: Promise<Connection>;
  readonly stop: AbortController;
  waiters: number;
}

/** Opens connections and says in full why one could not be opened. Whoever wants the same peer shares one dial. */
export class Dialer {
  readonly #backoff = new DialBackoff();
  readonly #dialing = new Map<string, Dialing>();

  constructor(readonly deps: DialerDeps) {}

  /**
   * Connects to `peerId` at `addresses`, or where it is known to be when there are none: directly, and through a relay when
   * that does not go at once. Throws `invalid_argument` (own id, malformed, or an address that names another peer),
   * `unavailable`, and what `signal` says.
   */
  async connect(
    peerId: string,
    addresses: readonly string[],
    { foundBy, signal }: DialOptions,
  ): Promise<PeerConnection> {
    const { node, peers, memory, dialTimeoutMs } = this.deps;
    const target = toPeerId(peerId);
    if (target.equals(node.libp2p.peerId)) {
      throw new CodedError("invalid_argument", `Could not connect to ${peerId}: that is this node's own id`);
    }
    const given = addresses.map((address) => toPeerAddress(address, peerId));
    const connected = peers.get(peerId);
    if (connected !== undefined) return connected;
    let tried: readonly Multiaddr[] = given;
    try {
      await withDeadline({ timeoutMs: dialTimeoutMs, signal }, async (deadline) => {
        tried = given.length > 0 ? given : await this.#known(target);
        await peers.whileDialing(peerId, foundBy, () => this.#join(peerId, tried, deadline));
      });
    } catch (cause) {
      if (signal?.aborted) throw abortedBy(signal);
      throw unreachable(peerId, tried.map(String), cause);
    } finally {
      await memory.touch(peerId);
    }
    const peer = peers.get(peerId);
    if (peer === undefined) {
      throw unreachable(peerId, tried.map(String), "the peer closed the connection at once");
    }
    return peer;
  }

  /** Whether `address` failed so lately that another try is likely to be wasted. */
  isDoubtful(address: Multiaddr): boolean {
    return this.#backoff.isDoubtful(address.toString());
  }

  /** Addresses that failed are worth a try again: the network is another one. */
  forgetFailures(): void {
    this.#backoff.clear();
  }

  /** Dials one address beside whatever connections there are. Rejects as the transport does. */
  async dialAddress(address: Multiaddr, signal: AbortSignal): Promise<Connection> {
    const { node, dialTimeoutMs } = this.deps;
    const timeoutMs = Math.min(dialTimeoutMs, ADDRESS_DIAL_TIMEOUT_MS);
    const text = address.toString();
    try {
      const connection = await withDeadline(
        { timeoutMs, signal },
        (deadline) => node.dial(address, { signal: deadline }),
      );
      this.#backoff.note(text, "connected");
      return connection;
    } catch (error) {
      if (!signal.aborted) this.#backoff.note(text, "failed");
      throw new Error(`${text}: ${errorMessage(error)}`, { cause: error });
    }
  }

  /** Connects to `peerId` through a relay, whatever connections there are. Rejects when none leads there. */
  async dialRelayed(peerId: string, signal: AbortSignal): Promise<Connection> {
    const relayed = (await this.#known(toPeerId(peerId))).filter(isRelayed);
    const { dialTimeoutMs, inBackground } = this.deps;
    return await withDeadline(
      { timeoutMs: dialTimeoutMs, signal },
      (deadline) =>
        raceDials({ direct: [], relayed, doubtful: [] }, {
          dial: (address, until) => this.dialAddress(address, until),
          signal: deadline,
          inBackground,
        }),
    );
  }

  /** Takes part in the dial of a peer that is under way, or starts one. */
  async #join(peerId: string, addresses: readonly Multiaddr[], signal: AbortSignal): Promise<Connection> {
    const found = this.#dialing.get(peerId);
    const dialing = found ?? this.#start(peerId, addresses);
    dialing.waiters++;
    try {
      return await abortable(dialing.connection, signal);
    } catch (error) {
      // Whoever waited for a dial of other addresses still has its own to try.
      if (found === undefined || signal.aborted) throw error;
      return await this.#join(peerId, addresses, signal);
    } finally {
      if (--dialing.waiters === 0) dialing.stop.abort(new Error("nobody waits for this dial any more"));
    }
  }

  #start(peerId: string, addresses: readonly Multiaddr[]): Dialing {
    const stop = new AbortController();
    const connection = raceDials(this.#plan(addresses), {
      dial: (address, signal) => this.dialAddress(address, AbortSignal.any([signal, this.deps.signal])),
      signal: stop.signal,
      inBackground: this.deps.inBackground,
    }).finally(() => this.#dialing.delete(peerId));
    const dialing = { connection, stop, waiters: 0 };
    this.#dialing.set(peerId, dialing);
    return dialing;
  }

  #plan(addresses: readonly Multiaddr[]): DialPlan {
    const plan = { direct: [] as Multiaddr[], relayed: [] as Multiaddr[], doubtful: [] as Multiaddr[] };
    for (const address of addresses) {
      const kind = kindOf(address);
      if (kind?.relayId !== undefined) plan.relayed.push(address);
      else if (addresses.length > 1 && this.#backoff.isDoubtful(address.toString())) {
        plan.doubtful.push(address);
      } else plan.direct.push(address);
    }
    plan.direct.sort((a, b) => rankOf(a) - rankOf(b));
    return plan;
  }

  /** Where a peer may be: what the address book says, and through our own relays. */
  async #known(id: PeerId): Promise<Multiaddr[]> {
    const { node, relayedAddresses } = this.deps;
    const peerId = id.toString();
    const relayed = relayedAddresses(peerId);
    const seen = new Set<string>();
    return [...await this.#remembered(id), ...relayed].filter((address) => {
      const text = address.toString();
      return !seen.has(text) && seen.add(text) && node.canDial(address);
    }).slice(0, MAX_DIALED);
  }

  async #remembered(id: PeerId): Promise<Multiaddr[]> {
    try {
      const { addresses } = await this.deps.node.libp2p.peerStore.get(id);
      return addresses.map(({ multiaddr }) => toPeerAddress(multiaddr.toString(), id.toString()));
    } catch {
      return []; // The peer store throws for a peer of which it knows nothing.
    }
  }
}

/** A handshake over QUIC takes the fewest round trips. */
const TRANSPORT_ORDER = ["quic", "tcp", "ws", "webtransport", "webrtc-direct"];

/** What is likely to answer comes first: strangers' loopback and private networks are seldom ours. */
function rankOf(address: Multiaddr): number {
  const { transport = "webrtc-direct", host = "" } = kindOf(address) ?? {};
  const near = isLoopbackHost(host) ? 20 : isPrivateIp(host) === true && !isOnOwnNetwork(host) ? 10 : 0;
  return near + TRANSPORT_ORDER.indexOf(transport);
}

/** The error for a call whose own signal fired. */
export function abortedBy(signal: AbortSignal): CodedError {
  const coded = toCodedError(signal.reason);
  return coded.code === "internal"
    ? new CodedError("cancelled", "The call was cancelled", { cause: signal.reason })
    : coded;
}

function unreachable(peerId: string, tried: readonly string[], cause: unknown): CodedError {
  if (tried.length === 0) {
    return new CodedError(
      "unavailable",
      `Could not connect to ${peerId}: none of its addresses is known; pass one, or wait until the peer is discovered`,
      { cause },
    );
  }
  return new CodedError(
    "unavailable",
    `Could not connect to ${peerId}: tried ${named(tried)}: ${named(reasons(cause))}; ` +
      `check that the peer runs, that the address is its current one and that no firewall is between`,
    { cause },
  );
}

function reasons(cause: unknown): string[] {
  if (cause instanceof AggregateError) return [...new Set(cause.errors.flatMap(reasons))];
  return [errorMessage(cause)];
}

function named(texts: readonly string[]): string {
  const rest = texts.length - MAX_NAMED;
  return texts.slice(0, MAX_NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
