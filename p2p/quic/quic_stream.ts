import type { AbortOptions, Logger, MessageStreamDirection } from "@libp2p/interface";
import { AbstractStream } from "@libp2p/utils";
import type { Uint8ArrayList } from "uint8arraylist";
import { concat } from "../concat.ts";

/** Two bytes with its length are in front of each piece. A piece without content is the end; a stream that stops without it was reset. */
const MAX_PIECE_BYTES = 0xffff;
/** Bytes handed to QUIC and not taken yet, above which the writer has to wait, and below which it goes on. */
const UNSENT_BYTES = 256 * 1024;
const RESUME_BYTES = 64 * 1024;

/** What a stream of QUIC is told. */
export interface QuicStreamInit {
  id: string;
  direction: MessageStreamDirection;
  log: Logger;
  maxReadBufferLength: number;
}

/**
 * A libp2p stream on a stream of QUIC. Deno ends a stream that is given up as if it had been closed, so the end of what was
 * sent is said in the stream itself.
 */
export class QuicStream extends AbstractStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #unsent = 0;
  #resumed: (() => void) | undefined;
  /** Header bytes read so far, and content of the piece under way that has not come. */
  #header: number[] = [];
  #left = 0;

  constructor(stream: Deno.QuicBidirectionalStream, init: QuicStreamInit) {
    super(init);
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => this.#onLost());
    void this.#read();
  }

  /** Takes what fits; the rest stays with libp2p, which tells its writers how much that is. */
  override sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    const room = Math.max(0, UNSENT_BYTES - this.#unsent);
    const bytes = data.subarray(0, Math.min(room, data.byteLength));
    for (let offset = 0; offset < bytes.length; offset += MAX_PIECE_BYTES) {
      this.#write(bytes.subarray(offset, offset + MAX_PIECE_BYTES));
    }
    return { sentBytes: bytes.length, canSendMore: this.#unsent < UNSENT_BYTES };
  }

  override async sendCloseWrite(_options?: AbortOptions): Promise<void> {
    this.#write(new Uint8Array());
    await this.#writer.close().catch(() => this.#onLost());
  }

  /** The peer is not told: what it still sends is thrown away. */
  override sendCloseRead(): Promise<void> {
    this.#resumed?.();
    return Promise.resolve();
  }

  override sendReset(error: Error): void {
    this.#reader.cancel(error).catch(() => {
      // It was lost or read to its end already.
    });
    this.#writer.abort(error).catch(() => {
      // It was lost or closed already.
    });
    this.#resumed?.();
  }

  override sendPause(): void {
    // The read loop looks at the status before each read.
  }

  override sendResume(): void {
    this.#resumed?.();
  }

  #write(piece: Uint8Array): void {
    const header = Uint8Array.of(piece.length >> 8, piece.length & 0xff);
    const bytes = concat([header, piece]);
    this.#unsent += bytes.length;
    this.#writer.write(bytes).then(() => {
      this.#unsent -= bytes.length;
      if (this.writableNeedsDrain && this.#unsent < RESUME_BYTES) this.safeDispatchEvent("drain");
    }, () => this.#onLost());
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        while (this.readStatus === "paused") await new Promise<void>((resolve) => this.#resumed = resolve);
        const { done, value } = await this.#reader.read();
        if (done) break;
        this.#take(value);
      }
    } catch {
      // The connection was lost, or the stream was given up here.
    }
    // After its own end the peer has closed its side, so this says nothing any more.
    if (this.remoteWriteStatus !== "closed") this.#onLost();
  }

  #take(bytes: Uint8Array): void {
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
      if (this.#left === 0) return this.onRemoteCloseWrite();
    }
  }

  /** The peer gave the stream up, or the connection is gone. */
  #onLost(): void {
    if (this.status !== "open") return;
    this.#reader.cancel().catch(() => {
      // It was lost already.
    });
    this.#writer.abort().catch(() => {
      // It was lost already.
    });
    this.onRemoteReset();
  }
}
