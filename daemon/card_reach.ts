import type { Logger } from "../core/log.ts";
import { type P2pHost, transportsOf } from "../p2p/mod.ts";
import type { CardBook } from "./cards.ts";
import type { PeerWire } from "./peer/mod.ts";

/** What a card says about reaching its node. */
export interface CardReach {
  /** What the node listens on, such as `tcp` and `quic-v1/noise`. */
  readonly supportedTransports: readonly string[];
  /** Multiaddrs that lead to it through relays. */
  readonly relayAddresses: readonly string[];
}

/** What keeping the card true works with. */
export interface OwnReachDeps {
  host: Pick<P2pHost, "addresses" | "relayedAddresses">;
  cards: Pick<CardBook, "own" | "refreshOwn">;
  wire: Pick<PeerWire, "announceCard">;
  logger: Logger;
}

/** Has the own card say how this node is reached, and peers told when that changes. */
export class OwnReach implements AsyncDisposable {
  #deps: OwnReachDeps | undefined;
  #following: Promise<void> | undefined;
  #isFollowing = false;
  #changedMeanwhile = false;
  #closed = false;

  /** As of now; nothing before {@link serve}. */
  now(): CardReach {
    const { host } = this.#deps ?? {};
    if (host === undefined) return { supportedTransports: [], relayAddresses: [] };
    const relayAddresses = host.relayedAddresses();
    return { supportedTransports: transportsOf(host.addresses()), relayAddresses };
  }

  /** Begins to follow the host. To be called once. */
  serve(deps: OwnReachDeps): void {
    this.#deps = deps;
    this.changed();
  }

  /** The host may be reached otherwise than before. */
  changed(): void {
    if (this.#deps === undefined || this.#closed) return;
    this.#changedMeanwhile = true;
    if (!this.#isFollowing) this.#following = this.#follow(this.#deps);
  }

  /** Waits for what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#following;
  }

  async #follow({ cards, wire, logger }: OwnReachDeps): Promise<void> {
    this.#isFollowing = true;
    try {
      while (this.#changedMeanwhile && !this.#closed) {
        this.#changedMeanwhile = false;
        const { own } = cards;
        const { supportedTransports, relayAddresses } = this.now();
        if (own === undefined) return;
        if (
          own.supportedTransports.join() === supportedTransports.join() &&
          own.relayAddresses.toSorted().join() === relayAddresses.toSorted().join()
        ) continue;
        await cards.refreshOwn();
        if (!this.#closed) await wire.announceCard();
      }
    } catch (error) {
      if (!this.#closed) logger.warn("The own card could not be brought up to date", { error });
    } finally {
      this.#isFollowing = false;
    }
  }
}
