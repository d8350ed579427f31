import type { Connection, Libp2p, PeerId, Stream } from "@libp2p/interface";
import { isPrivateIp, lpStream } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { isLoopbackHost, isRelayed, kindOf } from "./address_kind.ts";
import { withDeadline } from "./deadline.ts";
import { decodeHolePunch, encodeHolePunch, type HolePunchMessage } from "./hole_punch_message.ts";
import { isOnOwnNetwork } from "./own_networks.ts";
import { Pause } from "./pause.ts";
import { toPeerAddress } from "./peer_address.ts";

/** Protocol of the hole punch (libp2p DCUtR specification). */
const DCUTR_PROTOCOL = "/libp2p/dcutr";
/** Longest time of the talk before the dials. */
const TALK_TIMEOUT_MS = 5_000;
/** Longest time for the dials of one try. */
const DIAL_TIMEOUT_MS = 4_000;
/**
 * When dials of an address begin: after so many milliseconds and round trips. The first packets over QUIC may meet a NAT that
 * has not let the other side's out yet, and QUIC would repeat them only after a second. What cannot punch waits for it: of
 * several connections that open at once all but one are given up, and with them what the other side has begun there.
 */
const DIALS_AT: Readonly<
  Record<"quic" | "tcp" | "other", readonly (readonly [ms: number, roundTrips: number])[]>
> = {
  quic: [[0, 0], [120, 1.5], [350, 3]],
  tcp: [[150, 2]],
  other: [[300, 4]],
};
/** Longest round trip that is believed in this. */
const MAX_ROUND_TRIP_MS = 500;
/** Pauses between tries; the last one repeats. */
const PAUSES_MS = [1_000, 4_000, 15_000, 15_000, 30_000, 60_000, 300_000];
/** Tries after {@link HolePuncher.retry} where the other side's turn it is to begin. */
const OUT_OF_TURN_TRIES = 3;
const NO_ADDRESS = "the peer has no address that could be reached from here; NATs are passed over QUIC alone";
const NO_DIRECT_ANSWER =
  "the peer does not answer directly, as through a symmetric NAT or where UDP is blocked";
/** Addresses of the other side that are dialed: it must not be able to aim us at many strangers. */
const MAX_DIALED = 8;
const MAX_MESSAGE_BYTES = 4_096;

/** How far the way to a direct connection is. */
export interface PunchState {
  tries: number;
  /** Why the last try failed; undefined before its end. */
  reason: string | undefined;
}

/** What punching works with. */
export interface HolePuncherDeps {
  libp2p: Libp2p;
  /** Whether a direct connection to a peer is open. */
  hasDirect(peerId: string): boolean;
  dial(address: Multiaddr, signal: AbortSignal): Promise<Connection>;
  /** Where this node may be met: as others see its sockets, and at its own addresses. Without its id. */
  ownAddresses(): Multiaddr[];
  inBackground(work: Promise<void>): void;
  /** Ends all tries when it fires. */
  signal: AbortSignal;
  clock: Clock;
  logger: Logger;
}

/**
 * Turns relayed connections into direct ones: both sides tell each other their addresses over the relay and dial at the same
 * moment, so that each one's NAT takes the other's packets for answers. The side that was dialed begins.
 */
export class HolePuncher {
  readonly #deps: HolePuncherDeps;
  readonly #states = new Map<string, PunchState>();
  /** Pauses between tries, by peer. */
  readonly #pauses = new Map<string, Pause>();

  constructor(deps: HolePuncherDeps) {
    this.#deps = deps;
    deps.libp2p.addEventListener("peer:identify", ({ detail: { connection } }) => {
      if (!isRelayed(connection.remoteAddr) || deps.signal.aborted) return;
      // libp2p notes what the peer speaks and where it is after this event.
      deps.inBackground(Promise.resolve().then(() => this.#upgrade(connection)));
    });
    deps.libp2p.addEventListener("connection:close", ({ detail }) => {
      if (isRelayed(detail.remoteAddr) || deps.signal.aborted) return;
      deps.inBackground(Promise.resolve().then(() => this.#directEnded(detail.remotePeer)));
    });
    deps.libp2p.addEventListener("peer:disconnect", ({ detail }) => this.#states.delete(detail.toString()));
  }

  /** Takes part in what others begin. */
  async register(): Promise<void> {
    const handler = (stream: Stream, connection: Connection) => this.#answer(stream, connection);
    const options = { runOnLimitedConnection: true, maxInboundStreams: 1, maxOutboundStreams: 1 };
    await this.#deps.libp2p.handle(DCUTR_PROTOCOL, handler, options);
  }

  /** How far it is with a peer that is connected through a relay. */
  state(peerId: string): PunchState | undefined {
    return this.#states.get(peerId);
  }

  /**
   * The network may let through what it did not before: all that are relayed are tried again at once. The other side need not
   * have noticed, so this one begins even where it is not its turn.
   */
  retry(): void {
    for (const connection of this.#deps.libp2p.getConnections()) {
      if (!isRelayed(connection.remoteAddr) || !this.#isNeeded(connection)) continue;
      const pause = this.#pauses.get(connection.remotePeer.toString());
      if (pause !== undefined) pause.end();
      else this.#deps.inBackground(this.#upgrade(connection, { outOfTurn: true }));
    }
  }

  /** What was relayed meanwhile is the only way again, and nobody has tried since. */
  async #directEnded(peer: PeerId): Promise<void> {
    const left = this.#deps.libp2p.getConnections(peer).find((one) => isRelayed(one.remoteAddr));
    if (left !== undefined && this.#isNeeded(left)) await this.#upgrade(left);
  }

  /** Tries again and again while the connection is relayed and the only way; never rejects. */
  async #upgrade(connection: Connection, { outOfTurn = false } = {}): Promise<void> {
    const { clock, signal, logger } = this.#deps;
    const peerId = connection.remotePeer.toString();
    if (this.#pauses.has(peerId)) return;
    const pause = new Pause(clock);
    this.#pauses.set(peerId, pause);
    try {
      for (let round = 0; this.#isNeeded(connection); round++) {
        if (outOfTurn && round === OUT_OF_TURN_TRIES) return;
        const reason = await this.#try(connection, { outOfTurn });
        if (reason === "the other side begins" || this.#deps.hasDirect(peerId)) return;
        const tries = this.#noteTry(connection.remotePeer, reason);
        logger.debug("No direct connection yet", { peer: peerId, tries, reason });
        const again = await pause.take(PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)] ?? 0, signal);
        if (again) round = -1;
      }
    } catch (error) {
      if (!signal.aborted) logger.debug("A hole punch was given up", { peer: peerId, error });
    } finally {
      this.#pauses.delete(peerId);
    }
  }

  /** A try came to nothing; answers how many have. Nothing is kept of a peer that has gone meanwhile. */
  #noteTry(peer: PeerId, reason: string | undefined): number {
    const peerId = peer.toString();
    const tries = (this.#states.get(peerId)?.tries ?? 0) + 1;
    if (this.#deps.libp2p.getConnections(peer).length > 0) this.#states.set(peerId, { tries, reason });
    return tries;
  }

  #isNeeded({ status, remotePeer }: Connection): boolean {
    return status === "open" && !this.#deps.hasDirect(remotePeer.toString());
  }

  /** One try; resolves with why it came to nothing, or with undefined. */
  async #try(
    connection: Connection,
    { outOfTurn }: { outOfTurn: boolean },
  ): Promise<string | undefined> {
    try {
      const { protocols, addresses } = await this.#deps.libp2p.peerStore.get(connection.remotePeer);
      const told = addresses.map((address) => address.multiaddr);
      if (!protocols.includes(DCUTR_PROTOCOL)) return await this.#dialAll(connection, told, 0);
      // By the specification the side that was dialed begins.
      if (connection.direction === "outbound" && !outOfTurn) return "the other side begins";
      return await this.#lead(connection);
    } catch (error) {
      return errorMessage(error);
    }
  }

  async #lead(connection: Connection): Promise<string | undefined> {
    const { clock, signal } = this.#deps;
    const talk = { timeoutMs: TALK_TIMEOUT_MS, signal };
    const { theirs, roundTripMs } = await withDeadline(talk, async (deadline) => {
      const options = { signal: deadline, runOnLimitedConnection: true };
      const stream = await connection.newStream(DCUTR_PROTOCOL, options);
      try {
        const messages = toMessages(stream, deadline);
        const startMs = performance.now();
        await messages.write({ type: "connect", addresses: this.#own() });
        const { addresses: theirs } = await messages.read("connect");
        const roundTripMs = performance.now() - startMs;
        await messages.write({ type: "sync", addresses: [] });
        await stream.close(options);
        return { theirs, roundTripMs };
      } catch (error) {
        stream.abort(error instanceof Error ? error : new Error(String(error)));
        throw error;
      }
    });
    // The other side dials when it has our last message.
    await clock.sleep(roundTripMs / 2, signal);
    return await this.#dialAll(connection, toAddresses(theirs), roundTripMs);
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const { signal, logger } = this.#deps;
    const peerId = connection.remotePeer.toString();
    try {
      const talk = { timeoutMs: TALK_TIMEOUT_MS, signal };
      const { theirs, roundTripMs } = await withDeadline(talk, async (deadline) => {
        const messages = toMessages(stream, deadline);
        const { addresses } = await messages.read("connect");
        const startMs = performance.now();
        await messages.write({ type: "connect", addresses: this.#own() });
        await messages.read("sync");
        const roundTripMs = performance.now() - startMs;
        await stream.close({ signal: deadline });
        return { theirs: addresses, roundTripMs };
      });
      if (!isRelayed(connection.remoteAddr)) return;
      const reason = await this.#dialAll(connection, toAddresses(theirs), roundTripMs);
      if (reason !== undefined && !this.#deps.hasDirect(peerId)) this.#noteTry(connection.remotePeer, reason);
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      logger.debug("A hole punch that a peer began came to nothing", { peer: peerId, error });
    }
  }

  /** Dials all; resolves at the first connection, or with the reason when there is none. */
  async #dialAll(
    connection: Connection,
    told: readonly Multiaddr[],
    roundTripMs: number,
  ): Promise<string | undefined> {
    const peerId = connection.remotePeer.toString();
    const viaLoopback = isLoopbackHost(kindOf(connection.remoteAddr)?.host ?? "");
    const addresses = told.filter((address) => isWorthDialing(address, { viaLoopback })).slice(0, MAX_DIALED)
      .map((address) => toPeerAddress(address.toString(), peerId));
    if (addresses.length === 0) return NO_ADDRESS;
    const won = new AbortController();
    const dialing = { timeoutMs: DIAL_TIMEOUT_MS, signal: AbortSignal.any([this.#deps.signal, won.signal]) };
    const dials = addresses.flatMap((address) => {
      return dialTimes(address, roundTripMs).map((atMs) =>
        withDeadline(dialing, async (signal) => {
          if (atMs > 0) await this.#deps.clock.sleep(atMs, signal);
          if (this.#deps.hasDirect(peerId)) return;
          await this.#deps.dial(address, signal);
        })
      );
    });
    try {
      await Promise.any(dials);
      return undefined;
    } catch (error) {
      const reasons = error instanceof AggregateError ? error.errors.map(toReason) : [toReason(error)];
      return this.#deps.hasDirect(peerId) ? undefined : [...new Set(reasons)].join("; ");
    } finally {
      won.abort(new Error("a direct connection is there"));
      await Promise.allSettled(dials);
    }
  }

  #own(): Uint8Array[] {
    return this.#deps.ownAddresses().map((address) => address.bytes);
  }
}

function toReason(error: unknown): string {
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  return isLate ? NO_DIRECT_ANSWER : errorMessage(error);
}

/** When dials of `address` begin, in milliseconds. */
function dialTimes(address: Multiaddr, roundTripMs: number): number[] {
  const transport = kindOf(address)?.transport;
  const kind = transport === "quic" || transport === "tcp" ? transport : "other";
  return DIALS_AT[kind].map(([ms, roundTrips]) => ms + roundTrips * Math.min(roundTripMs, MAX_ROUND_TRIP_MS));
}

/** Not what a stranger could have us dial inside our own networks, except where we are ourselves. */
function isWorthDialing(address: Multiaddr, { viaLoopback }: { viaLoopback: boolean }): boolean {
  const kind = kindOf(address);
  if (kind === undefined || kind.relayId !== undefined) return false;
  if (isLoopbackHost(kind.host)) return viaLoopback;
  if (!/^[\d.]+$|:/.test(kind.host)) return false;
  return isPrivateIp(kind.host) !== true || (kind.transport === "quic" && isOnOwnNetwork(kind.host));
}

function toMessages(stream: Stream, signal: AbortSignal) {
  const framed = lpStream(stream, { maxDataLength: MAX_MESSAGE_BYTES });
  return {
    write: (message: HolePunchMessage) => framed.write(encodeHolePunch(message), { signal }),
    async read(type: HolePunchMessage["type"]): Promise<HolePunchMessage> {
      const message = decodeHolePunch((await framed.read({ signal })).subarray());
      if (message.type !== type) throw new Error(`the peer said ${message.type} where ${type} was due`);
      return message;
    },
  };
}

function toAddresses(bytes: readonly Uint8Array[]): Multiaddr[] {
  return bytes.flatMap((one) => {
    try {
      return [multiaddr(one)];
    } catch {
      return []; // A peer may know kinds of addresses that we do not.
    }
  });
}
