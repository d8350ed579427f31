import { CodedError } from "../../core/errors.ts";
import { CHUNK_COST_BYTES } from "./stream_options.ts";

/** A chunk that is kept until the other side has it on disk. */
export interface KeptChunk {
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly isLast: boolean;
}

/** The chunks of an artifact that are not acknowledged yet, and how far they have been sent on the present channel. */
export class SendWindow {
  readonly #chunks = new Map<number, KeptChunk>();
  #keptBytes = 0;
  #sentBytes = 0;
  #nextSequence = 0;
  #acknowledged = 0;
  #cursor = 0;

  /** @param maxBytes most that is kept, each chunk with what it costs; one chunk always has room. */
  constructor(readonly maxBytes: number) {}

  /** The sequence of the chunk that is added next. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Whether nothing has been acknowledged. */
  get untouched(): boolean {
    return this.#acknowledged === 0;
  }

  /** Whether all that was added has been sent on the present channel. */
  get allSent(): boolean {
    return this.#cursor === this.#nextSequence;
  }

  hasRoomFor(data: Uint8Array): boolean {
    return this.#keptBytes === 0 || this.#keptBytes + costOf(data) <= this.maxBytes;
  }

  add(data: Uint8Array, isLast: boolean): void {
    this.#chunks.set(this.#nextSequence, { sequence: this.#nextSequence, data, isLast });
    this.#nextSequence++;
    this.#keptBytes += costOf(data);
  }

  /** The next chunk to send, when the other side has room for it within `windowBytes`. */
  take(windowBytes: number): KeptChunk | undefined {
    const chunk = this.#chunks.get(this.#cursor);
    if (chunk === undefined) return undefined;
    const cost = costOf(chunk.data);
    if (this.#sentBytes > 0 && this.#sentBytes + cost > windowBytes) return undefined;
    this.#cursor++;
    this.#sentBytes += cost;
    return chunk;
  }

  /** Goes on with `sequence` on a new channel. Throws `data_loss` or `invalid_argument` when that is not possible. */
  rewind(sequence: number): void {
    if (sequence < this.#acknowledged) {
      throw new CodedError(
        "data_loss",
        `Cannot go on with the artifact: the receiver has lost chunks behind ${sequence} that it had acknowledged; send it anew`,
      );
    }
    this.#cursor = this.#nextSequence;
    this.acknowledge(sequence);
    this.#cursor = sequence;
    this.#sentBytes = 0;
  }

  /** Drops the chunks before `sequence`. Throws `invalid_argument` for one that was not sent. */
  acknowledge(sequence: number): void {
    if (sequence > this.#cursor) {
      throw new CodedError(
        "invalid_argument",
        `Cannot go on with the artifact: the receiver acknowledged chunks before ${sequence}, ${this.#cursor} were sent`,
      );
    }
    for (; this.#acknowledged < sequence; this.#acknowledged++) {
      const chunk = this.#chunks.get(this.#acknowledged);
      if (chunk === undefined) continue;
      this.#chunks.delete(this.#acknowledged);
      this.#keptBytes -= costOf(chunk.data);
      this.#sentBytes -= costOf(chunk.data);
    }
  }

  /** Forgets what is kept. */
  clear(): void {
    this.#chunks.clear();
    this.#keptBytes = 0;
    this.#sentBytes = 0;
  }

  /** All bytes that are kept, in order. */
  join(): Uint8Array {
    const chunks = [...this.#chunks.values()];
    const whole = new Uint8Array(chunks.reduce((sum, { data }) => sum + data.length, 0));
    let offset = 0;
    for (const { data } of chunks) {
      whole.set(data, offset);
      offset += data.length;
    }
    return whole;
  }
}

function costOf(data: Uint8Array): number {
  return data.length + CHUNK_COST_BYTES;
}
