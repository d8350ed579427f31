import { concat } from "../concat.ts";
import { ByteReader, u16, u32 } from "./byte_reader.ts";
import { CHUNK, distance, encodeChunk, encodeParams, parseParams, tsnAfter } from "./sctp_packet.ts";

/** Parameters and results of RFC 6525. */
const OUTGOING_RESET = 13;
const RESPONSE = 16;
const PERFORMED = 1;
const DENIED = 2;
const BAD_SEQUENCE = 5;
const IN_PROGRESS = 6;
/** Streams in one request, so that it fits into a packet. */
const MAX_STREAMS = 256;
const MAX_TRIES = 10;
/** Parameters of a chunk (RFC 6525, 3.1). */
const MAX_PARAMS = 2;

/** What resets are made with. */
export interface StreamResetsDeps {
  /** Number of this side's first request. */
  firstSequence: number;
  /** Number of the peer's first request. */
  firstPeerSequence: number;
  send(chunk: Uint8Array): void;
  /** The number of the last fragment that was sent. */
  lastTsn(): number;
  /** All fragments up to this one have come. */
  cumulative(): number;
  rtoMs(): number;
  /** The peer knows that nothing more comes on these streams. */
  onSent(streams: readonly number[]): void;
  /** Nothing more comes on these streams. */
  onReceived(streams: readonly number[]): void;
  /** The peer does not answer. */
  onLost(): void;
}

interface Request {
  sequence: number;
  streams: number[];
  tries: number;
}

/** Ends streams of an association one direction at a time, which is how data channels are closed. */
export class StreamResets {
  readonly #deps: StreamResetsDeps;
  readonly #waiting = new Set<number>();
  #sequence: number;
  #peerSequence: number;
  #request: Request | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A request that names fragments which have not come. */
  #early: { sequence: number; lastTsn: number; streams: number[] } | undefined;

  constructor(deps: StreamResetsDeps) {
    this.#deps = deps;
    this.#sequence = deps.firstSequence;
    this.#peerSequence = deps.firstPeerSequence;
  }

  /** Says that nothing more is sent on `stream`, all of which has left. */
  end(stream: number): void {
    this.#waiting.add(stream);
    this.#ask();
  }

  /** Takes a chunk of the peer. Throws `SyntaxError`. */
  take(body: Uint8Array): void {
    for (const [type, value] of parseParams(body).slice(0, MAX_PARAMS)) {
      if (type === RESPONSE) this.#takeResponse(new ByteReader(value));
      else if (type === OUTGOING_RESET) this.#takeRequest(new ByteReader(value));
      else this.#respond(new ByteReader(value).u32(), DENIED);
    }
  }

  /** To be called when fragments have come. */
  onProgress(): void {
    const early = this.#early;
    if (early === undefined || distance(early.lastTsn, this.#deps.cumulative()) > 0) return;
    this.#early = undefined;
    this.#perform(early.sequence, early.streams);
  }

  /** Ends the repetition of what is not answered. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#request = undefined;
    this.#waiting.clear();
  }

  #ask(): void {
    if (this.#request !== undefined || this.#waiting.size === 0) return;
    const streams = [...this.#waiting].slice(0, MAX_STREAMS);
    for (const stream of streams) this.#waiting.delete(stream);
    this.#request = { sequence: this.#sequence, streams, tries: 0 };
    this.#sequence = tsnAfter(this.#sequence);
    this.#sendRequest();
  }

  #sendRequest(): void {
    const request = this.#request;
    if (request === undefined) return;
    if (request.tries++ === MAX_TRIES) return this.#deps.onLost();
    const value = concat([
      u32(request.sequence),
      u32(tsnAfter(this.#peerSequence, -1)),
      u32(this.#deps.lastTsn()),
      ...request.streams.map(u16),
    ]);
    this.#deps.send(encodeChunk(CHUNK.reconfig, 0, encodeParams([[OUTGOING_RESET, value]])));
    this.#timer = setTimeout(() => this.#sendRequest(), this.#deps.rtoMs());
  }

  #takeResponse(reader: ByteReader): void {
    const [sequence, result] = [reader.u32(), reader.u32()];
    const request = this.#request;
    if (request?.sequence !== sequence || result === IN_PROGRESS) return;
    clearTimeout(this.#timer);
    this.#request = undefined;
    // Whatever the peer makes of it, nothing more comes from here.
    this.#deps.onSent(request.streams);
    this.#ask();
  }

  #takeRequest(reader: ByteReader): void {
    const sequence = reader.u32();
    reader.u32();
    const lastTsn = reader.u32();
    const streams = Array.from({ length: reader.left >> 1 }, () => reader.u16());
    const steps = distance(sequence, this.#peerSequence);
    if (steps === -1) return this.#respond(sequence, PERFORMED);
    if (steps !== 0) return this.#respond(sequence, BAD_SEQUENCE);
    if (distance(lastTsn, this.#deps.cumulative()) > 0) {
      this.#early = { sequence, lastTsn, streams };
      this.#respond(sequence, IN_PROGRESS);
    } else this.#perform(sequence, streams);
  }

  #perform(sequence: number, streams: readonly number[]): void {
    this.#peerSequence = tsnAfter(sequence);
    this.#respond(sequence, PERFORMED);
    this.#deps.onReceived(streams);
  }

  #respond(sequence: number, result: number): void {
    const value = concat([u32(sequence), u32(result)]);
    this.#deps.send(encodeChunk(CHUNK.reconfig, 0, encodeParams([[RESPONSE, value]])));
  }
}
