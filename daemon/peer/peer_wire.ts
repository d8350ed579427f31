import type { AgentCard, Engine } from "../../a2a/mod.ts";
import type { Logger } from "../../core/log.ts";
import type { P2pHandlers, P2pHost } from "../../p2p/mod.ts";
import type { CardBook } from "../cards.ts";
import { encodeCard } from "../convert/card.ts";
import { decodeEnvelope } from "../convert/envelope.ts";

/** How long a peer may take to answer with its card, in milliseconds. */
const CARD_TIMEOUT_MS = 5000;

export interface PeerWireDeps {
  cards: CardBook;
  logger: Logger;
}

/** The wire to other nodes: envelopes in, cards both ways. What arrives before {@link serve} waits for it. */
export class PeerWire implements AsyncDisposable {
  readonly #cards: CardBook;
  readonly #logger: Logger;
  readonly #served = Promise.withResolvers<{ host: P2pHost; engine: Engine }>();
  readonly #exchanges = new Map<string, Promise<void>>();
  /** Connected peers that have been asked for their card; one that has a card offers it by itself from then on. */
  readonly #asked = new Set<string>();
  readonly #stop = new AbortController();

  constructor(deps: PeerWireDeps) {
    this.#cards = deps.cards;
    this.#logger = deps.logger;
    this.#served.promise.catch(() => {
      // Whoever waits for it is told; with nobody waiting there is nobody to tell.
    });
  }

  /** What the host calls. */
  readonly handlers: P2pHandlers = {
    onA2aFrame: async (peerId, frame) => {
      const { engine } = await this.#served.promise;
      const envelope = decodeEnvelope(frame);
      if (envelope !== undefined) return await engine.receive(peerId, envelope);
      this.#logger.debug("Envelope of a type this version does not take", { peer: peerId });
    },
    onCardFrame: async (peerId, frame) => {
      await this.#take(peerId, frame);
      return this.#cards.own && encodeCard(this.#cards.own);
    },
    onPeerConnected: ({ peerId, address, direction, foundBy }) => {
      this.#logger.info("Peer connected", { peer: peerId, address, direction, foundBy });
      this.#served.promise.then(({ engine }) => engine.peerConnected(peerId), () => {
        // Stopped before it began: nothing waits for this peer.
      });
      void this.exchangeCards(peerId);
    },
    onPeerDisconnected: (peerId) => {
      this.#asked.delete(peerId);
      this.#logger.info("Peer disconnected", { peer: peerId });
    },
  };

  /** Opens the wire. */
  serve(host: P2pHost, engine: Engine): void {
    this.#served.resolve({ host, engine });
  }

  /** Offers the own card (or none) to a connected peer and takes its card; failures are logged, never thrown. */
  exchangeCards(peerId: string): Promise<void> {
    const running = this.#exchanges.get(peerId);
    if (running !== undefined) return running;
    const exchange = this.#exchange(peerId).catch((error) => {
      this.#logger.debug("No card exchanged", { peer: peerId, error });
    }).finally(() => this.#exchanges.delete(peerId));
    this.#exchanges.set(peerId, exchange);
    return exchange;
  }

  /**
   * The card of a peer: the one at hand, else the one it answers with when it is connected. One that had none when it was
   * asked is asked again only with `askAgain`.
   */
  async cardOf(peerId: string, { askAgain = false } = {}): Promise<AgentCard | undefined> {
    const known = await this.#cards.of(peerId);
    if (known !== undefined) return known;
    const { host } = await this.#served.promise;
    if (!host.isConnected(peerId) || (this.#asked.has(peerId) && !askAgain)) return undefined;
    await this.exchangeCards(peerId);
    return await this.#cards.of(peerId);
  }

  /** Offers a changed own card to every connected peer. */
  async announceCard(): Promise<void> {
    const { host } = await this.#served.promise;
    await Promise.all(
      host.peers().map(async ({ peerId }) => {
        await this.#exchanges.get(peerId);
        await this.exchangeCards(peerId);
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = new DOMException("The daemon is stopping", "AbortError");
    this.#served.reject(closing);
    this.#stop.abort(closing);
    await Promise.all(this.#exchanges.values());
  }

  async #exchange(peerId: string): Promise<void> {
    const { host } = await this.#served.promise;
    const own = this.#cards.own === undefined ? new Uint8Array() : encodeCard(this.#cards.own);
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new DOMException("The peer did not answer", "TimeoutError")),
      CARD_TIMEOUT_MS,
    );
    try {
      const signal = AbortSignal.any([this.#stop.signal, timeout.signal]);
      const theirs = await host.exchangeCard(peerId, own, { signal });
      if (theirs !== undefined) await this.#take(peerId, theirs);
    } finally {
      clearTimeout(timer);
      if (host.isConnected(peerId)) this.#asked.add(peerId);
    }
  }

  /** Takes a card that is not empty; a bad one is logged and left. */
  async #take(peerId: string, frame: Uint8Array): Promise<void> {
    if (frame.length === 0) return;
    try {
      const { name, skills } = await this.#cards.take(peerId, frame);
      this.#logger.debug("Card received", { peer: peerId, name, skills: skills.map((skill) => skill.id) });
    } catch (error) {
      this.#logger.warn("Card refused", { peer: peerId, error });
    }
  }
}
