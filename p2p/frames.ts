import { CodedError } from "../core/errors.ts";
import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES } from "./constants.ts";

/** First allocation for a frame body; it grows with what has arrived, not with what was announced. */
const FIRST_ALLOCATION_BYTES = 4 * 1024;
/** Once this share of a frame has arrived, the whole of it is allocated. */
const SHARE_FOR_WHOLE = 1 / 4;
/** A frame of this length that lies in one chunk is a view of it; shorter ones are copied lest they hold the chunk. */
const MIN_VIEW_BYTES = 16 * 1024;

const NO_BYTES = new Uint8Array(0);

/** The four bytes in front of a body of `byteLength`. Throws `invalid_argument` above `maxFrameBytes`. */
export function frameHeader(byteLength: number, maxFrameBytes = MAX_FRAME_BYTES): Uint8Array<ArrayBuffer> {
  if (byteLength > maxFrameBytes) {
    throw new CodedError(
      "invalid_argument",
      `Could not frame ${byteLength} bytes: at most ${maxFrameBytes} bytes fit; send less or in parts`,
    );
  }
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, byteLength);
  return header;
}

/** Header and body in one array. Throws `invalid_argument` above {@link MAX_FRAME_BYTES}. */
export function encodeFrame(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  frame.set(frameHeader(body.length));
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * Cuts a byte stream into frames, whatever the chunks are. What it holds is at most four times what has arrived of the
 * frame under way. A chunk must not be changed once it was handed in: long frames are views of it.
 */
export class FrameDecoder {
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #view = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #body: Uint8Array = NO_BYTES;
  #bodyBytes = 0;
  #expectedBytes = 0;

  /** @param maxFrameBytes longest frame that is taken. */
  constructor(readonly maxFrameBytes: number = MAX_FRAME_BYTES) {}

  /** Whether a frame has begun and is not whole yet. */
  get begun(): boolean {
    return this.#headerBytes > 0;
  }

  /** Bytes of the unfinished frame that have arrived, header excluded. */
  get pendingBytes(): number {
    return this.#bodyBytes;
  }

  /**
   * Yields each frame that `chunk` completes; run it to its end before the next call. Throws `out_of_range` on an
   * announced length above `maxFrameBytes`; the stream is then useless.
   */
  *decode(chunk: Uint8Array): Generator<Uint8Array> {
    let offset = 0;
    while (offset < chunk.length) {
      offset += this.#headerBytes < FRAME_HEADER_BYTES
        ? this.#takeHeader(chunk.subarray(offset))
        : this.#takeBody(chunk.subarray(offset));
      if (this.#headerBytes === FRAME_HEADER_BYTES && this.#bodyBytes === this.#expectedBytes) {
        const frame = this.#body;
        this.#reset();
        yield frame;
      }
    }
  }

  /** Says that no more bytes come. Throws `data_loss` when that cuts a frame. */
  end(): void {
    if (this.#headerBytes === 0) return;
    const found = this.#headerBytes < FRAME_HEADER_BYTES
      ? `${this.#headerBytes} of ${FRAME_HEADER_BYTES} header bytes`
      : `${this.#bodyBytes} of ${this.#expectedBytes} bytes`;
    throw new CodedError("data_loss", `Could not read a frame: the stream ended after ${found}`);
  }

  #takeHeader(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, FRAME_HEADER_BYTES - this.#headerBytes);
    this.#header.set(taken, this.#headerBytes);
    this.#headerBytes += taken.length;
    if (this.#headerBytes < FRAME_HEADER_BYTES) return taken.length;
    this.#expectedBytes = this.#view.getUint32(0);
    if (this.#expectedBytes > this.maxFrameBytes) {
      throw new CodedError(
        "out_of_range",
        `Could not read a frame: ${this.#expectedBytes} bytes announced, at most ${this.maxFrameBytes} are allowed`,
      );
    }
    return taken.length;
  }

  #takeBody(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#expectedBytes - this.#bodyBytes);
    if (this.#bodyBytes === 0 && taken.length === this.#expectedBytes) {
      this.#body = taken.length >= MIN_VIEW_BYTES ? taken : new Uint8Array(taken);
    } else {
      this.#grow(this.#bodyBytes + taken.length);
      this.#body.set(taken, this.#bodyBytes);
    }
    this.#bodyBytes += taken.length;
    return taken.length;
  }

  #grow(neededBytes: number): void {
    if (neededBytes <= this.#body.length) return;
    const doubled = Math.max(FIRST_ALLOCATION_BYTES, this.#body.length * 2, neededBytes);
    const whole = neededBytes >= this.#expectedBytes * SHARE_FOR_WHOLE;
    const grown = new Uint8Array(whole ? this.#expectedBytes : Math.min(this.#expectedBytes, doubled));
    grown.set(this.#body.subarray(0, this.#bodyBytes));
    this.#body = grown;
  }

  #reset(): void {
    this.#headerBytes = 0;
    this.#body = NO_BYTES;
    this.#bodyBytes = 0;
    this.#expectedBytes = 0;
  }
}
