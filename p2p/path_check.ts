import type { Connection, Libp2p } from "@libp2p/interface";
import type { Clock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { isRelayed } from "./address_kind.ts";

/** How long a direct connection has for a ping, or two of its round trips, before another way to the peer is looked for. */
const PATIENCE_MS = 500;
/** What it has from when the peer has answered another way. */
const LAST_CHANCE_MS = 250;

/** What checking paths works with. */
export interface PathCheckDeps {
  libp2p: Pick<Libp2p, "addEventListener">;
  /** The open connections of a peer, the best first. */
  connectionsTo(peerId: string): readonly Connection[];
  /** One round trip over a connection. */
  ping(connection: Connection, signal: AbortSignal): Promise<unknown>;
  /** Opens a connection through a relay. */
  dialRelayed(peerId: string, signal: AbortSignal): Promise<unknown>;
  /** Whether all connections of a peer are needed, see `PathKeeper`. */
  needsAll(peerId: string): boolean;
  inBackground(work: Promise<void>): void;
  signal: AbortSignal;
  clock: Clock;
  logger: Logger;
}

/**
 * Notices a direct connection that carries nothing any more long before its transport does. A peer that is merely slow is slow
 * through a relay too: only when it answers there, and not directly, is the direct connection given up.
 */
export class PathCheck {
  readonly #deps: PathCheckDeps;
  readonly #checking = new Set<string>();

  constructor(deps: PathCheckDeps) {
    this.#deps = deps;
    // With a direct connection at hand nobody dials through a relay unless that one has gone silent.
    deps.libp2p.addEventListener("connection:open", ({ detail: { direction, remoteAddr, remotePeer } }) => {
      if (direction === "inbound" && isRelayed(remoteAddr)) this.doubt(remotePeer.toString());
    });
  }

  /** A peer owes an answer and says nothing: if its direct connection is dead and a relay leads to it, the connection ends. */
  doubt(peerId: string): void {
    const { connectionsTo, needsAll, inBackground, signal } = this.#deps;
    const [direct] = connectionsTo(peerId);
    if (direct === undefined || isRelayed(direct.remoteAddr)) return;
    if (signal.aborted || needsAll(peerId) || this.#checking.has(peerId)) return;
    this.#checking.add(peerId);
    inBackground(this.#check(peerId, direct).finally(() => this.#checking.delete(peerId)));
  }

  /** Never rejects. */
  async #check(peerId: string, direct: Connection): Promise<void> {
    const { ping, clock, logger } = this.#deps;
    const over = new AbortController();
    const ends = AbortSignal.any([this.#deps.signal, over.signal]);
    // A ping that fails says that the connection has ended, which everybody is told.
    const settled = ping(direct, ends).then(() => true, () => true);
    const settledWithin = (ms: number) =>
      Promise.race([settled, clock.sleep(ms, ends).then(() => false, () => true)]);
    try {
      if (await settledWithin(Math.max(PATIENCE_MS, 2 * (direct.rtt ?? 0)))) return;
      const elsewhere = this.#reachThroughRelay(peerId, ends);
      // Whoever loses this race ends with it.
      elsewhere.catch(() => {});
      if (await Promise.race([settled, elsewhere.then(() => false)])) return;
      if (await settledWithin(LAST_CHANCE_MS)) return;
      logger.info("A direct connection is silent, a relay takes over", { peer: peerId });
      direct.abort(new CodedError("unavailable", "The direct connection is silent, and a relay leads there"));
    } catch (error) {
      logger.debug("A silent peer is not reached through a relay", {
        peer: peerId,
        reason: errorMessage(error),
      });
    } finally {
      over.abort();
    }
  }

  async #reachThroughRelay(peerId: string, signal: AbortSignal): Promise<void> {
    const { connectionsTo, ping, dialRelayed } = this.#deps;
    const relayed = connectionsTo(peerId).find(({ remoteAddr }) => isRelayed(remoteAddr));
    await (relayed === undefined ? dialRelayed(peerId, signal) : ping(relayed, signal));
  }
}
