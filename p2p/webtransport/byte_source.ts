import { concat } from "../concat.ts";
import { decodeVarint, varintLength } from "./varint.ts";

/** Reads what HTTP/3 puts on a stream, piece by piece; holds no more than it was asked for and one read of QUIC. */
export class ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader();
  }

  /** The next `length` bytes. Throws when the stream ends before. */
  async take(length: number): Promise<Uint8Array> {
    while (this.#rest.length < length) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error("a stream of HTTP/3 ended too early");
      this.#rest = concat([this.#rest, value]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }

  /** The next number. */
  async takeVarint(): Promise<number> {
    const [first = 0] = await this.take(1);
    const rest = await this.take(varintLength(first) - 1);
    return decodeVarint(concat([Uint8Array.of(first), rest]));
  }

  /** Throws away what comes until the stream ends or is lost. */
  async drain(): Promise<void> {
    this.#rest = new Uint8Array();
    try {
      while (!(await this.#reader.read()).done);
    } catch {
      // Lost is an end too.
    }
  }

  /** Gives the stream up. */
  cancel(): void {
    this.#reader.cancel().catch(() => {
      // It was lost already.
    });
  }
}
