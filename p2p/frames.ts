import { CodedError } from "../core/errors.ts";
import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES } from "./constants.ts";

/** First allocation for a frame body; it doubles with what has arrived, never with what was announced. */
const FIRST_ALLOCATION_BYTES = 4 * 1024;

/** The four bytes in front of a body of `byteLength`. Throws `invalid_argument` above {@link MAX_FRAME_BYTES}. */
export function frameHeader(byteLength: number): Uint8Array<ArrayBuffer> {
  if (byteLength > MAX_FRAME_BYTES) {
    throw new CodedError(
      "invalid_argument",
      `Could not frame ${byteLength} bytes: at most ${MAX_FRAME_BYTES} bytes fit; send less or in parts`,
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
 * Cuts a byte stream into frames, whatever the chunks are. What it holds is at most twice what has arrived of the
 * frame under way.
 */
export class FrameDecoder {
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #body = new Uint8Array(0);
  #bodyBytes = 0;
  #expectedBytes = 0;

  /** Bytes of the unfinished frame that have arrived, header excluded. */
  get pendingBytes(): number {
    return this.#bodyBytes;
  }

  /**
   * Yields each frame that `chunk` completes; run it to its end before the next call. Throws `out_of_range` on an
   * announced length above {@link MAX_FRAME_BYTES}; the stream is then useless.
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
    this.#expectedBytes = new DataView(this.#header.buffer).getUint32(0);
    if (this.#expectedBytes > MAX_FRAME_BYTES) {
      throw new CodedError(
        "out_of_range",
        `Could not read a frame: ${this.#expectedBytes} bytes announced, at most ${MAX_FRAME_BYTES} are allowed`,
      );
    }
    return taken.length;
  }

  #takeBody(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#expectedBytes - this.#bodyBytes);
    const needed = this.#bodyBytes + taken.length;
    if (needed > this.#body.length) {
      const doubled = Math.max(FIRST_ALLOCATION_BYTES, this.#body.length * 2, needed);
      const grown = new Uint8Array(Math.min(this.#expectedBytes, doubled));
      grown.set(this.#body.subarray(0, this.#bodyBytes));
      this.#body = grown;
    }
    this.#body.set(taken, this.#bodyBytes);
    this.#bodyBytes = needed;
    return taken.length;
  }

  #reset(): void {
    this.#headerBytes = 0;
    this.#body = new Uint8Array(0);
    this.#bodyBytes = 0;
    this.#expectedBytes = 0;
  }
}
