import { type Clock, systemClock } from "../core/clock.ts";
import { toCodedError } from "../core/errors.ts";
import type { PeerInfo } from "../sdk/mod.ts";
import type { PeerTarget } from "./peer_target.ts";
import { type PeerConnector, reachPeer } from "./reach_peer.ts";

/** How long the address of a peer may take to prove itself before the task is sent all the same, in milliseconds. */
const ADDRESS_LIMIT_MS = 3_000;

/** What looking for a peer needs of a session. */
export interface SearchSession extends PeerConnector {
  readonly node: PeerConnector["node"] & { listPeers(): Promise<PeerInfo[]> };
}

/** Looks for a peer in the background, where the daemon would not by itself. Disposing it ends the search. */
export class PeerSearch implements AsyncDisposable {
  readonly #session: SearchSession;
  readonly #peer: PeerTarget;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly #search: Promise<void>;
  #error: unknown;

  constructor(session: SearchSession, peer: PeerTarget, signal: AbortSignal, clock: Clock = systemClock) {
    this.#session = session;
    this.#peer = peer;
    this.#clock = clock;
    this.#search = session.isOwn || peer.addresses.length > 0
      ? this.#run(AbortSignal.any([signal, this.#over.signal]))
      : Promise.resolve();
  }

  /** Gives an address the time to work. Throws when it is none that could; a peer that is not there is no error. */
  async checkAddress(): Promise<void> {
    if (this.#peer.addresses.length === 0) return;
    const over = new AbortController();
    const limit = this.#clock.sleep(ADDRESS_LIMIT_MS, over.signal).catch(() => {/* the search was faster */});
    await Promise.race([this.#search, limit]);
    over.abort();
    if (this.#error !== undefined) throw this.#error;
  }

  async isConnected(): Promise<boolean> {
    const peers = await this.#session.node.listPeers();
    return peers.some(({ peerId }) => peerId === this.#peer.peerId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#search;
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      await reachPeer(this.#session, this.#peer, { signal, clock: this.#clock });
    } catch (error) {
      if (!signal.aborted && toCodedError(error).code !== "unavailable") this.#error = error;
    }
  }
}
