import { concat } from "../concat.ts";
import { QuicByteStream, type QuicStreamInit } from "./byte_stream.ts";

/** Two bytes with its length are in front of each piece. A piece without content is the end; a stream that stops without it was reset. */
const MAX_PIECE_BYTES = 0xffff;

/**
 * A stream between nodes of this program. Deno ends a stream that is given up as if it had been closed, so the end of what
 * was sent is said in the stream itself.
 */
export class QuicStream extends QuicByteStream {
  /** Header bytes read so far, and content of the piece under way that has not come. */
  #header: number[] = [];
  #left = 0;

  constructor(stream: Deno.QuicBidirectionalStream, init: QuicStreamInit) {
    super(stream, init);
    void this.read();
  }

  protected override put(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += MAX_PIECE_BYTES) {
      this.#putPiece(bytes.subarray(offset, offset + MAX_PIECE_BYTES));
    }
  }

  protected override putEnd(): void {
    this.#putPiece(new Uint8Array());
  }

  protected override take(bytes: Uint8Array): boolean {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const content = rest.subarray(0, this.#left);
        this.#left -= content.length;
        rest = rest.subarray(content.length);
        this.onData(content);
        continue;
      }
      this.#header.push(rest[0] ?? 0);
      rest = rest.subarray(1);
      const [high, low] = this.#header;
      if (high === undefined || low === undefined) continue;
      this.#header = [];
      this.#left = high << 8 | low;
      if (this.#left > 0) continue;
      this.onRemoteCloseWrite();
      return true;
    }
    return true;
  }

  protected override takeEnd(): void {
    // After its own end the peer has closed its side, so this says nothing any more.
    if (this.remoteWriteStatus !== "closed") this.lose();
  }

  #putPiece(piece: Uint8Array): void {
    this.write(concat([Uint8Array.of(piece.length >> 8, piece.length & 0xff), piece]));
  }
}
