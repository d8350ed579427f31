import type { AgentCard, Answer, Engine, EnvelopeTransport } from "../../a2a/mod.ts";
import { type Clock, startTimer, systemClock } from "../../core/clock.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import {
  ARTIFACT_STREAM_PROTOCOL,
  type FrameChannel,
  LANE_PROTOCOL,
  type P2pHandlers,
  type P2pHost,
} from "../../p2p/mod.ts";
import type { Identity } from "../../identity/mod.ts";
import type { CardBook } from "../cards.ts";
import { decodeEnvelope, encodeAck, encodeRejection } from "../convert/envelope.ts";
import { createEnvelopeTransport, type WireTransport } from "./envelope_transport.ts";
import { serveLane } from "./lane_receiver.ts";
import { type ArrivedEnvelope, type OpenedEnvelope, Sealing, type SealingMode } from "./sealing.ts";

/** How long a peer may take to answer with its card, in milliseconds. */
const CARD_TIMEOUT_MS = 5000;
/** In every address that leads through a relay. */
const CIRCUIT = "/p2p-circuit/";

export interface PeerWireDeps {
  cards: CardBook;
  logger: Logger;
  /** Takes the streams of artifacts that peers open; without it none are taken. */
  artifacts?: { onChannel(channel: FrameChannel): Promise<void> };
  /** Whose key opens and makes sealed envelopes; without it none are taken. */
  identity?: Identity;
}

export interface PeerWireOptions {
  /** Whether envelopes go by `/agentanycast/a2a/2.0` with peers that speak it, both ways. Default true. */
  fastLane?: boolean;
  /** Which envelopes are sealed for the peer. Default `off`. */
  sealing?: SealingMode;
  /** Default the wall clock. */
  clock?: Clock;
}

/** What a wire serves. */
interface Served {
  host: P2pHost;
  engine: Pick<Engine, "receive" | "peerConnected">;
}

/** An exchange of cards under way. */
interface Exchange {
  readonly over: Promise<void>;
  /** Resolves earlier when the peer has offered its card by itself, or has said that it has none. */
  readonly heard: PromiseWithResolvers<void>;
}

/** The wire to other nodes: envelopes and cards both ways. What arrives before {@link serve} waits for it. */
export class PeerWire implements AsyncDisposable {
  /** Protocols of which peers may open channels. */
  readonly channelProtocols: readonly string[];
  readonly #cards: CardBook;
  readonly #logger: Logger;
  readonly #artifacts: PeerWireDeps["artifacts"];
  readonly #sealing: Sealing | undefined;
  readonly #options: PeerWireOptions;
  readonly #served = Promise.withResolvers<Served>();
  #transport: WireTransport | undefined;
  readonly #exchanges = new Map<string, Exchange>();
  /** Connected peers that have been asked for their card; one that has a card offers it by itself from then on. */
  readonly #asked = new Set<string>();
  readonly #stop = new AbortController();

  constructor({ cards, logger, artifacts, identity }: PeerWireDeps, options: PeerWireOptions = {}) {
    this.#cards = cards;
    this.#logger = logger;
    this.#artifacts = artifacts;
    this.#sealing = identity &&
      new Sealing(options.sealing ?? "off", { identity, cardOf: (peerId) => this.cardOf(peerId) });
    this.#options = options;
    this.channelProtocols = [
      ...(options.fastLane ?? true) ? [LANE_PROTOCOL] : [],
      ...artifacts === undefined ? [] : [ARTIFACT_STREAM_PROTOCOL],
    ];
    this.#served.promise.catch(() => {
      // Whoever waits for it is told; with nobody waiting there is nobody to tell.
    });
  }

  /** What the host calls. */
  readonly handlers: P2pHandlers = {
    onA2aFrame: (peerId, frame) => this.#takeFrame(peerId, frame),
    onChannel: async (channel, protocol) => {
      const served = await this.#served.promise;
      if (protocol === LANE_PROTOCOL) await this.#serveLane(channel, served);
      else await this.#artifacts?.onChannel(channel);
    },
    onCardFrame: async (peerId, frame) => {
      // Without a card of its own it sends an empty frame, so it need not be asked.
      this.#asked.add(peerId);
      await this.#take(peerId, frame);
      this.#exchanges.get(peerId)?.heard.resolve();
      return this.#cards.ownSigned;
    },
    onPeerConnected: ({ peerId, address, direction, foundBy }) => {
      this.#logger.info("Peer connected", { peer: peerId, address, direction, foundBy });
      this.#served.promise.then(({ engine }) => engine.peerConnected(peerId), () => {
        // Stopped before it began: nothing waits for this peer.
      });
      void this.exchangeCards(peerId);
    },
    onPeerMoved: (peerId) => this.#transport?.onMoved(peerId),
    onPeerDisconnected: (peerId) => {
      this.#asked.delete(peerId);
      this.#logger.info("Peer disconnected", { peer: peerId });
      this.#transport?.onDisconnected(peerId);
    },
  };

  /** The engine's way to other engines over `host`; it is the wire's, which closes it. To be called once. */
  openTransport(host: P2pHost): EnvelopeTransport {
    const transport = createEnvelopeTransport(host, { ...this.#options, logger: this.#logger });
    this.#transport = transport;
    return this.#sealing?.wrap(transport) ?? transport;
  }

  /** Opens the wire. */
  serve(host: P2pHost, engine: Served["engine"]): void {
    this.#served.resolve({ host, engine });
  }

  /** Offers the own card (or none) to a connected peer and takes its card; failures are logged, never thrown. */
  exchangeCards(peerId: string): Promise<void> {
    const running = this.#exchanges.get(peerId);
    if (running !== undefined) return running.over;
    const over = this.#exchange(peerId).catch((error) => {
      this.#logger.debug("No card exchanged", { peer: peerId, error });
    }).finally(() => this.#exchanges.delete(peerId));
    this.#exchanges.set(peerId, { over, heard: Promise.withResolvers() });
    return over;
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
    const over = this.exchangeCards(peerId);
    await Promise.race([over, this.#exchanges.get(peerId)?.heard.promise ?? over]);
    return await this.#cards.of(peerId);
  }

  /** Offers a changed own card to every connected peer. */
  async announceCard(): Promise<void> {
    const { host } = await this.#served.promise;
    await Promise.all(
      host.peers().map(async ({ peerId }) => {
        await this.#exchanges.get(peerId)?.over;
        await this.exchangeCards(peerId);
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = new DOMException("The daemon is stopping", "AbortError");
    this.#served.reject(closing);
    this.#stop.abort(closing);
    await Promise.all([...this.#exchanges.values()].map(({ over }) => over));
    await this.#transport?.[Symbol.asyncDispose]();
  }

  /** A frame of 1.0: an ACK is the answer to an envelope of ours, everything else is for the engine. */
  async #takeFrame(peerId: string, frame: Uint8Array): Promise<void> {
    const { host, engine } = await this.#served.promise;
    const decoded = decodeEnvelope(frame);
    if (decoded === undefined) {
      return this.#logger.debug("Envelope of a type this version does not take", { peer: peerId });
    }
    if (decoded.kind === "ack") return this.#transport?.onAck(peerId, decoded.acknowledgedEnvelopeId);
    const opened = this.#open(peerId, decoded);
    const answer = await this.#answerTo(engine, peerId, opened);
    if (answer.outcome !== "taken") this.#logNotTaken(peerId, answer);
    if (answer.outcome === "busy") return;
    const { envelopeId } = decoded.kind === "envelope" ? decoded.envelope : decoded;
    const body = opened.envelope?.body;
    const { signal } = this.#stop;
    try {
      // An ACK does not say that the task is refused, and once it is there the peer does not ask again.
      if (answer.outcome === "refused" && body?.type === "send_task") {
        await host.sendA2aFrame(peerId, encodeRejection(body.taskId, answer.reason), { signal });
      }
      await host.sendA2aFrame(peerId, encodeAck(envelopeId), { signal });
    } catch (error) {
      // The peer sends it again, and is then told again.
      this.#logger.debug("Envelope not answered", { peer: peerId, error });
    }
  }

  async #serveLane(channel: FrameChannel, { engine }: Served): Promise<void> {
    const { peerId } = channel;
    this.#transport?.onLane(peerId);
    try {
      await serveLane(channel, { receive: (bytes) => this.#judge(engine, peerId, bytes) });
    } catch (error) {
      this.#logger.debug("Lane of a peer ended", { peer: peerId, error });
    }
  }

  /** An envelope of a lane that cannot be read is refused for good: it would be no better another time. */
  async #judge(engine: Served["engine"], peerId: string, bytes: Uint8Array): Promise<Answer> {
    const answer = await this.#ask(engine, peerId, bytes);
    if (answer.outcome !== "taken") this.#logNotTaken(peerId, answer);
    return answer;
  }

  #ask(engine: Served["engine"], peerId: string, bytes: Uint8Array): Answer | Promise<Answer> {
    let decoded: ReturnType<typeof decodeEnvelope>;
    try {
      decoded = decodeEnvelope(bytes);
    } catch (error) {
      return { outcome: "refused", reason: errorMessage(error) };
    }
    if (decoded === undefined || decoded.kind === "ack") {
      return { outcome: "refused", reason: "an envelope of this type is not taken" };
    }
    return this.#answerTo(engine, peerId, this.#open(peerId, decoded));
  }

  #answerTo(engine: Served["engine"], peerId: string, opened: OpenedEnvelope): Answer | Promise<Answer> {
    return opened.refusal === undefined
      ? engine.receive(peerId, opened.envelope)
      : { outcome: "refused", reason: opened.refusal };
  }

  #open(peerId: string, arrived: ArrivedEnvelope): OpenedEnvelope {
    if (this.#sealing !== undefined) return this.#sealing.open(peerId, arrived);
    return arrived.kind === "envelope"
      ? { envelope: arrived.envelope }
      : { refusal: "this node does not open sealed payloads" };
  }

  #logNotTaken(peer: string, { outcome, reason }: Exclude<Answer, { outcome: "taken" }>): void {
    this.#logger.debug("Envelope not taken", { peer, outcome, reason });
  }

  async #exchange(peerId: string): Promise<void> {
    const { host } = await this.#served.promise;
    const own = this.#cards.ownSigned ?? new Uint8Array();
    const timeout = new AbortController();
    const late = () => timeout.abort(new DOMException("The peer did not answer", "TimeoutError"));
    using _timer = startTimer(this.#options.clock ?? systemClock, CARD_TIMEOUT_MS, late);
    try {
      const signal = AbortSignal.any([this.#stop.signal, timeout.signal]);
      const theirs = await host.exchangeCard(peerId, own, { signal });
      if (theirs !== undefined) await this.#take(peerId, theirs);
    } finally {
      if (host.isConnected(peerId)) this.#asked.add(peerId);
    }
  }

  /** Where a peer says that relays lead to it is tried when it cannot be reached otherwise. */
  #rememberRelays(peerId: string, relayAddresses: readonly string[]): void {
    // A card may not have us dial whatever it likes: through a relay only the peer itself is reached.
    const relayed = relayAddresses.filter((address) => address.includes(CIRCUIT));
    if (relayed.length === 0) return;
    this.#served.promise.then(({ host }) => host.remember(peerId, relayed)).catch((error) => {
      this.#logger.debug("The relays of a card are not remembered", { peer: peerId, error });
    });
  }

  /** Takes a card that is not empty; a bad one is logged and left. */
  async #take(peerId: string, frame: Uint8Array): Promise<void> {
    if (frame.length === 0) return;
    try {
      const { name, skills, relayAddresses } = await this.#cards.take(peerId, frame);
      this.#rememberRelays(peerId, relayAddresses);
      this.#logger.debug("Card received", { peer: peerId, name, skills: skills.map((skill) => skill.id) });
    } catch (error) {
      this.#logger.warn("Card refused", { peer: peerId, error });
    }
  }
}
