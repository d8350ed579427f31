import { concat } from "../concat.ts";
import { type DataChunk, distance, type Sack, tsnAfter } from "./sctp_packet.ts";

/** Unread bytes of a connection beyond which the peer has to wait, and what it may send in ignorance of that. */
export const RECEIVE_WINDOW_BYTES = 1024 * 1024;
const GRACE_BYTES = 64 * 1024;
/** Longest message: libp2p's have 16 KiB, and nobody else speaks here. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** Fragments that may be beyond a gap. */
const MAX_AHEAD = 4_096;
const MAX_GAPS = 64;
/** What a fragment or message costs beside its bytes, so that a window full of tiny ones is no more memory than one of long ones. */
const PIECE_COST_BYTES = 64;

/** The room that a message takes until it is read. */
export function messageCost({ length }: Uint8Array): number {
  return length + PIECE_COST_BYTES;
}

/** A message, whole. */
export interface Message {
  stream: number;
  protocol: number;
  content: Uint8Array;
}

/** Puts fragments in order and together; what nobody has read takes room from the peer. */
export class SctpReceiver {
  readonly #onMessage: (message: Message) => void;
  /** Fragments beyond the first gap. */
  readonly #ahead = new Map<number, DataChunk>();
  readonly #partials = new Map<number, { parts: Uint8Array[]; bytes: number }>();
  #cumulative: number;
  #held = 0;
  /** Of these, what fragments beyond the first gap cost. */
  #heldAhead = 0;

  /** `firstTsn` is the number of the first fragment. */
  constructor(firstTsn: number, onMessage: (message: Message) => void) {
    this.#cumulative = tsnAfter(firstTsn, -1);
    this.#onMessage = onMessage;
  }

  /** All fragments up to this one have come. */
  get cumulative(): number {
    return this.#cumulative;
  }

  /** Bytes that the peer may send. */
  get window(): number {
    return Math.max(0, RECEIVE_WINDOW_BYTES - this.#held);
  }

  /** Whether a fragment is missing before others. */
  get hasGap(): boolean {
    return this.#ahead.size > 0;
  }

  /** Messages that cost `bytes` together ({@link messageCost}) have been read. */
  release(bytes: number): void {
    this.#held -= bytes;
  }

  /** Takes a fragment; messages that are whole by it are handed over. Throws `SyntaxError` for what cannot be. */
  take(chunk: DataChunk): void {
    const steps = distance(chunk.tsn, this.#cumulative);
    if (steps <= 0 || steps > MAX_AHEAD || this.#ahead.has(chunk.tsn)) return;
    // A peer that keeps sending into a full window loses what it sends. What is beyond a gap never keeps out what fills it.
    const held = steps > 1 ? this.#held : this.#held - this.#heldAhead;
    if (held + chunk.content.length > RECEIVE_WINDOW_BYTES + GRACE_BYTES) return;
    if (steps > 1) {
      this.#held += messageCost(chunk.content);
      this.#heldAhead += messageCost(chunk.content);
      this.#ahead.set(chunk.tsn, { ...chunk, content: chunk.content.slice() });
      return;
    }
    this.#advance(chunk);
    while (this.#ahead.size > 0) {
      const next = this.#ahead.get(tsnAfter(this.#cumulative));
      if (next === undefined) return;
      this.#ahead.delete(next.tsn);
      this.#held -= messageCost(next.content);
      this.#heldAhead -= messageCost(next.content);
      this.#advance(next);
    }
  }

  /** What the peer is told. */
  toSack(): Sack {
    const gaps: [number, number][] = [];
    let left = this.#ahead.size;
    // The first after the last one is what is missing.
    for (let offset = 2; left > 0 && offset <= MAX_AHEAD; offset++) {
      if (!this.#ahead.has(tsnAfter(this.#cumulative, offset))) continue;
      left--;
      const last = gaps.at(-1);
      if (last !== undefined && last[1] === offset - 1) last[1] = offset;
      else if (gaps.length === MAX_GAPS) break;
      else gaps.push([offset, offset]);
    }
    return { cumulative: this.#cumulative, window: this.window, gaps };
  }

  #advance({ tsn, stream, protocol, first, last, content }: DataChunk): void {
    this.#cumulative = tsn;
    this.#held += messageCost(content);
    const partial = this.#partials.get(stream);
    if (first === (partial !== undefined)) {
      throw new SyntaxError("fragments of a message do not fit together");
    }
    if (first && last) return this.#onMessage({ stream, protocol, content: content.slice() });
    const { parts, bytes } = partial ?? { parts: [] as Uint8Array[], bytes: 0 };
    if (bytes + content.length > MAX_MESSAGE_BYTES) throw new SyntaxError("a message is too long");
    parts.push(last ? content : content.slice());
    if (last) {
      this.#partials.delete(stream);
      // It is one piece from now on.
      this.#held -= (parts.length - 1) * PIECE_COST_BYTES;
      this.#onMessage({ stream, protocol, content: concat(parts) });
    } else this.#partials.set(stream, { parts, bytes: bytes + content.length });
  }
}
