import {
  CHUNK,
  type Chunk,
  encodeChunk,
  encodeInit,
  encodePacket,
  encodeSack,
  type Init,
  MAX_CHUNKS_BYTES,
  parseData,
  parseInit,
  parsePacket,
  parseSack,
} from "./sctp_packet.ts";
import { type Message, RECEIVE_WINDOW_BYTES, SctpReceiver } from "./sctp_receiver.ts";
import { SctpSender } from "./sctp_sender.ts";
import { StreamResets } from "./stream_resets.ts";

/** Parameters of a beginning: what it is answered with, and which further kinds of chunks are spoken. */
const STATE_COOKIE = 7;
const SUPPORTED_EXTENSIONS = 0x8008;
/** That no checksum is needed, since DTLS tells what is damaged (RFC 9653). */
const ZERO_CHECKSUM = 0x8001;
const BY_DTLS = Uint8Array.of(0, 0, 0, 1);
const MAX_STREAMS = 0xffff;
const COOKIE_BYTES = 32;
/** Chunks of a packet, beside those with fragments, that are read; each may have an answer of its own. */
const MAX_CONTROL_CHUNKS = 8;

/** Longest time for which a fragment goes without its acknowledgement (RFC 9260 allows 500 ms). */
const SACK_DELAY_MS = 25;
/** Packets with fragments after which one is due. */
const PACKETS_PER_SACK = 2;
/** Bytes of one while no fragment is missing. */
const SACK_BYTES = 16;
/** Pause before the beginning is sent again. */
const BEGIN_AGAIN_MS = 500;
/** Repetitions without an acknowledgement after which the peer counts as gone. */
const MAX_TIMEOUTS = 10;
/** A peer of which nothing has been heard for so long is gone. */
export const SILENCE_MS = 10_000;
/** How often {@link SctpAssociation.tick} is to be called. */
export const TICK_MS = 2_500;

/** What an association works with. */
export interface SctpInit {
  /** Whether this side begins. */
  begins: boolean;
  /** Sends a packet, which may be lost. */
  send(packet: Uint8Array): void;
  /** Takes a message; {@link SctpAssociation.release} gives its room back to the peer. */
  onMessage(message: Message): void;
  /** Nothing more comes on these streams. */
  onStreamsEnded(streams: readonly number[]): void;
  /** Nothing more goes on these streams, and the peer knows it. */
  onStreamsReset(streams: readonly number[]): void;
  /** Some of what waited is on its way. */
  onProgress(): void;
  /** Called once, when there is no association any more; with a reason unless the peer ended it. */
  onClosed(reason: Error | undefined): void;
  /** Milliseconds. Default `performance.now`. */
  now?: () => number;
}

/** Ordered, reliable messages in many streams between two sides (RFC 9260), as data channels need them. */
export class SctpAssociation {
  readonly established: Promise<void>;
  readonly #init: SctpInit;
  readonly #now: () => number;
  readonly #tag = randomTag();
  readonly #firstTsn = randomTag();
  readonly #cookie = crypto.getRandomValues(new Uint8Array(COOKIE_BYTES));
  readonly #sender: SctpSender;
  readonly #ending = new Set<number>();
  readonly #begun = Promise.withResolvers<void>();
  #state: "new" | "asked" | "echoed" | "established" | "closed" = "new";
  #receiver: SctpReceiver | undefined;
  #resets: StreamResets | undefined;
  /** What the peer began with; its tag is in each of our packets. */
  #peer: Init | undefined;
  #peerCookie: Uint8Array | undefined;
  #beginTimer: ReturnType<typeof setTimeout> | undefined;
  #resendTimer: ReturnType<typeof setTimeout> | undefined;
  #sackTimer: ReturnType<typeof setTimeout> | undefined;
  #timeouts = 0;
  #unacknowledged = 0;
  #toldWindow = RECEIVE_WINDOW_BYTES;
  #lastHeard: number;
  #isFlushing = false;

  constructor(init: SctpInit) {
    this.#init = init;
    this.#now = init.now ?? (() => performance.now());
    this.#lastHeard = this.#now();
    this.#sender = new SctpSender(this.#firstTsn, this.#now);
    this.established = this.#begun.promise;
    // Whoever waits for it is told; nobody may.
    this.established.catch(() => {});
  }

  /** Begins, when this is the side that does. */
  start(): void {
    if (!this.#init.begins || this.#state !== "new") return;
    this.#state = "asked";
    this.#begin();
  }

  /** Whether all of all messages has reached the peer. */
  get isIdle(): boolean {
    return this.#sender.isIdle;
  }

  /** Bytes for `stream` that are not on their way. */
  unsentBytes(stream: number): number {
    return this.#sender.unsentBytes(stream);
  }

  /** Sends a message, which must not change any more. */
  send(stream: number, protocol: number, content: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#sender.queue(stream, protocol, content);
    this.#flushSoon();
  }

  /** Ends `stream` in this direction once all of it is on its way. */
  end(stream: number): void {
    if (this.#state === "closed") return;
    this.#ending.add(stream);
    this.#flushSoon();
  }

  /** Messages that cost `bytes` together have been read. */
  release(bytes: number): void {
    if (this.#state === "closed") return;
    const receiver = this.#receiver;
    receiver?.release(bytes);
    // A peer that waits for room is told as soon as there is enough to be worth it.
    if (receiver !== undefined && receiver.window - this.#toldWindow >= RECEIVE_WINDOW_BYTES / 4) {
      this.#sack();
    }
  }

  /** To be called every {@link TICK_MS}: asks a silent peer whether it is there. */
  tick(): void {
    const silentMs = this.#now() - this.#lastHeard;
    if (silentMs > SILENCE_MS) {
      this.#close(new Error(`nothing has been heard of the peer for ${SILENCE_MS / 1000} s`));
    } else if (silentMs > TICK_MS / 2 && this.#state === "established") {
      this.#send([encodeChunk(CHUNK.heartbeat, 0, Uint8Array.of(0, 1, 0, 8, 0, 0, 0, 0))]);
    }
  }

  /** Takes a packet of the peer. Throws `SyntaxError` for what no peer may send. */
  receive(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    const { tag, chunks } = parsePacket(bytes, { isSealed: true });
    const isInit = chunks[0]?.type === CHUNK.init;
    if (tag !== (isInit ? 0 : this.#tag)) return;
    this.#lastHeard = this.#now();
    let hasData = false;
    let control = 0;
    for (const chunk of isInit ? chunks.slice(0, 1) : chunks) {
      if (chunk.type === CHUNK.data) hasData = true;
      else if (++control > MAX_CONTROL_CHUNKS) continue;
      if (!this.#take(chunk) || this.#hasEnded()) break;
    }
    if (this.#hasEnded()) return;
    if (hasData) this.#onData();
    this.#flush();
  }

  /** Ends the association at once; the peer is told. */
  close(): void {
    if (this.#peer !== undefined && this.#state !== "closed") this.#send([encodeChunk(CHUNK.abort, 0)]);
    this.#close(undefined, "here");
  }

  /** Whether there is no association any more, which taking a chunk may have brought about. */
  #hasEnded(): boolean {
    return this.#state === "closed";
  }

  /** Takes a chunk; false when the rest of the packet is not to be read. */
  #take(chunk: Chunk): boolean {
    const { body } = chunk;
    switch (chunk.type) {
      case CHUNK.data:
        this.#receiver?.take(parseData(chunk));
        return true;
      case CHUNK.sack:
        this.#takeSack(chunk);
        return true;
      case CHUNK.init:
        this.#takeInit(parseInit(chunk));
        return true;
      case CHUNK.initAck:
        this.#takeInitAck(parseInit(chunk));
        return true;
      case CHUNK.cookieEcho:
        this.#takeCookie(body);
        return true;
      case CHUNK.cookieAck:
        if (this.#state === "echoed") this.#establish();
        return true;
      case CHUNK.heartbeat:
        this.#send([encodeChunk(CHUNK.heartbeatAck, 0, body)]);
        return true;
      case CHUNK.reconfig:
        this.#resets?.take(body);
        return true;
      case CHUNK.shutdown:
        this.#send([encodeChunk(CHUNK.shutdownAck, 0)]);
        this.#close(undefined);
        return false;
      case CHUNK.abort:
      case CHUNK.shutdownAck:
        this.#close(undefined);
        return false;
      default:
        // The highest bit says whether one that is not known is skipped.
        return chunk.type >= 0x80 || chunk.type === CHUNK.heartbeatAck || chunk.type === CHUNK.error;
    }
  }

  #takeSack(chunk: Chunk): void {
    if (this.#state !== "established") return;
    const isNew = this.#sender.acknowledge(parseSack(chunk));
    this.#timeouts = 0;
    if (isNew) {
      clearTimeout(this.#resendTimer);
      this.#resendTimer = undefined;
    }
  }

  #takeInit(init: Init): void {
    if (this.#state === "established" && init.tag !== this.#peer?.tag) return;
    this.#peer = init;
    this.#send([encodeInit(CHUNK.initAck, this.#ownInit([[STATE_COOKIE, this.#cookie]]))]);
  }

  #takeInitAck(init: Init): void {
    const cookie = init.params.get(STATE_COOKIE);
    if (this.#state !== "asked" || cookie === undefined) return;
    this.#peer = init;
    this.#peerCookie = cookie.slice();
    this.#state = "echoed";
    this.#begin();
  }

  #takeCookie(cookie: Uint8Array): void {
    if (this.#peer === undefined || cookie.toHex() !== this.#cookie.toHex()) return;
    this.#send([encodeChunk(CHUNK.cookieAck, 0)]);
    if (this.#state !== "established") this.#establish();
  }

  /** Sends what this side's beginning waits for, and again until it is answered. */
  #begin(): void {
    clearTimeout(this.#beginTimer);
    if (this.#state === "asked") {
      this.#init.send(encodePacket(0, [encodeInit(CHUNK.init, this.#ownInit())]));
    } else if (this.#state === "echoed" && this.#peerCookie !== undefined) {
      this.#send([encodeChunk(CHUNK.cookieEcho, 0, this.#peerCookie)]);
    } else return;
    this.#beginTimer = setTimeout(() => this.#begin(), BEGIN_AGAIN_MS);
  }

  #ownInit(more: [number, Uint8Array][] = []): Init {
    const params = new Map([
      [ZERO_CHECKSUM, BY_DTLS],
      [SUPPORTED_EXTENSIONS, Uint8Array.of(CHUNK.reconfig)],
      ...more,
    ]);
    return {
      ...{ tag: this.#tag, window: RECEIVE_WINDOW_BYTES, firstTsn: this.#firstTsn, params },
      ...{ outbound: MAX_STREAMS, inbound: MAX_STREAMS },
    };
  }

  #establish(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    clearTimeout(this.#beginTimer);
    this.#state = "established";
    const receiver = new SctpReceiver(peer.firstTsn, this.#init.onMessage);
    this.#receiver = receiver;
    this.#sender.open(peer.window);
    this.#resets = new StreamResets({
      firstSequence: this.#firstTsn,
      firstPeerSequence: peer.firstTsn,
      send: (chunk) => this.#send([chunk]),
      lastTsn: () => this.#sender.lastTsn,
      cumulative: () => receiver.cumulative,
      rtoMs: () => this.#sender.rtoMs,
      onSent: (streams) => {
        for (const stream of streams) this.#sender.resetStream(stream);
        this.#init.onStreamsReset(streams);
      },
      onReceived: (streams) => this.#init.onStreamsEnded(streams),
      onLost: () => this.#close(new Error("the peer does not answer")),
    });
    this.#begun.resolve();
  }

  /** Fragments have come: they are acknowledged at once when one is missing, else every second time or a little later. */
  #onData(): void {
    this.#resets?.onProgress();
    if (++this.#unacknowledged >= PACKETS_PER_SACK || this.#receiver?.hasGap) this.#sack();
    else this.#sackTimer ??= setTimeout(() => this.#sack(), SACK_DELAY_MS);
  }

  #sack(): void {
    const chunk = this.#takeSackChunk();
    if (chunk !== undefined) this.#send([chunk]);
  }

  #takeSackChunk(): Uint8Array | undefined {
    if (this.#receiver === undefined) return undefined;
    clearTimeout(this.#sackTimer);
    this.#sackTimer = undefined;
    this.#unacknowledged = 0;
    const sack = this.#receiver.toSack();
    this.#toldWindow = sack.window;
    return encodeSack(sack);
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  /** Sends whatever may leave. */
  #flush(): void {
    if (this.#state !== "established") return;
    let hasSent = false;
    while (true) {
      const chunks = this.#sender.take(MAX_CHUNKS_BYTES);
      if (chunks.length === 0) break;
      const left = chunks.reduce((room, chunk) => room - chunk.length, MAX_CHUNKS_BYTES);
      // An acknowledgement that is due travels with what leaves anyway, if there is room.
      const sack = this.#unacknowledged > 0 && left >= SACK_BYTES ? this.#takeSackChunk() : undefined;
      this.#send(sack === undefined ? chunks : [sack, ...chunks]);
      hasSent = true;
    }
    if (this.#sender.isWaiting) this.#resendTimer ??= setTimeout(() => this.#onTimeout(), this.#sender.rtoMs);
    for (const stream of this.#ending) {
      if (this.#sender.unsentBytes(stream) > 0) continue;
      this.#ending.delete(stream);
      this.#resets?.end(stream);
    }
    if (hasSent) this.#init.onProgress();
  }

  #onTimeout(): void {
    this.#resendTimer = undefined;
    if (!this.#sender.isWaiting) return;
    if (++this.#timeouts > MAX_TIMEOUTS) return this.#close(new Error("the peer acknowledges nothing"));
    this.#sender.onTimeout();
    this.#flush();
  }

  #send(chunks: readonly Uint8Array[]): void {
    if (this.#peer === undefined) return;
    const { tag, params } = this.#peer;
    const hasChecksum = this.#state !== "established" || params.get(ZERO_CHECKSUM)?.[3] !== BY_DTLS[3];
    this.#init.send(encodePacket(tag, chunks, { hasChecksum }));
  }

  #close(reason: Error | undefined, by: "here" | "peer" = "peer"): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const timer of [this.#beginTimer, this.#resendTimer, this.#sackTimer]) clearTimeout(timer);
    this.#resets?.stop();
    this.#begun.reject(reason ?? new Error("the connection was closed"));
    if (by === "peer") this.#init.onClosed(reason);
  }
}

function randomTag(): number {
  // Zero would stand for none.
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) || 1;
}
