import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Dialer } from "./dialer.ts";

/** A peer that could not be reached is left alone for this long, however often it is announced. */
const REDIAL_MS = 30_000;
/** Dials under way at once; announcements beyond are left to the next round. */
const MAX_DIALS = 8;
/** Peers remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 512;

/** What dialing discovered peers works with. */
export interface MdnsDialerDeps {
  dialer: Pick<Dialer, "connect">;
  isConnected(peerId: string): boolean;
  /** Ends the dials when it fires. */
  signal: AbortSignal;
  logger: Logger;
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  now?: () => number;
}

/** Dials announced peers that are not connected, with bounds that a flood of announcements cannot exceed. */
export class MdnsDialer {
  readonly #dialedAtMs = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();

  constructor(readonly deps: MdnsDialerDeps) {}

  /** Takes an announcement; dials or not. */
  onPeer(peerId: string, addresses: readonly string[]): void {
    const { isConnected, signal, now = () => performance.now() } = this.deps;
    if (signal.aborted || this.#running.size >= MAX_DIALS || isConnected(peerId)) return;
    const dialedAtMs = this.#dialedAtMs.get(peerId);
    if (dialedAtMs !== undefined && now() - dialedAtMs < REDIAL_MS) return;
    this.#remember(peerId, now());
    const task = this.#dial(peerId, addresses).finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  /** A connected peer went away: it may be dialed as soon as it is announced again. */
  onDisconnected(peerId: string): void {
    this.#dialedAtMs.delete(peerId);
  }

  /** Resolves when no dial is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #dial(peerId: string, addresses: readonly string[]): Promise<void> {
    const { dialer, signal, logger } = this.deps;
    try {
      await dialer.connect(peerId, addresses, { foundBy: "mdns", signal });
    } catch (error) {
      logger.debug("Could not reach a peer found by mDNS", { peerId, reason: errorMessage(error) });
    }
  }

  #remember(peerId: string, atMs: number): void {
    this.#dialedAtMs.delete(peerId);
    this.#dialedAtMs.set(peerId, atMs);
    if (this.#dialedAtMs.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#dialedAtMs.keys()) {
      this.#dialedAtMs.delete(oldest);
      return;
    }
  }
}
