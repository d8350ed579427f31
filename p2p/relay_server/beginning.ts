import type { Stream, StreamMessageEvent } from "@libp2p/interface";
import { concat } from "../concat.ts";

/** Bytes that are gathered; what exceeds them waits in the stream. */
const ENOUGH_BYTES = 16 * 1024;

/** What a peer says on a stream before it is joined to another one. What is not taken goes back when this is disposed. */
export class Beginning implements Disposable {
  readonly #stream: Stream;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.addEventListener("message", this.#onMessage);
  }

  /** What has come since the last call. */
  take(): Uint8Array {
    const taken = concat(this.#pieces);
    this.#pieces = [];
    return taken;
  }

  readonly #onMessage = ({ data }: StreamMessageEvent) => {
    this.#pieces.push(data.subarray());
    this.#bytes += data.byteLength;
    if (this.#bytes >= ENOUGH_BYTES) this.#stream.removeEventListener("message", this.#onMessage);
  };

  [Symbol.dispose](): void {
    this.#stream.removeEventListener("message", this.#onMessage);
    const left = this.take();
    const { readStatus } = this.#stream;
    if (left.length > 0 && (readStatus === "readable" || readStatus === "paused")) this.#stream.unshift(left);
  }
}
