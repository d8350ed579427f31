import type { AbortOptions, Logger, MessageStreamDirection } from "@libp2p/interface";
import { AbstractStream } from "@libp2p/utils";
import type { Uint8ArrayList } from "uint8arraylist";

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

/** A libp2p stream on a stream of QUIC; how its bytes and its end are written is decided by those who extend it. */
export abstract class QuicByteStream extends AbstractStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #unsent = 0;
  #resumed: (() => void) | undefined;

  constructor(stream: Deno.QuicBidirectionalStream, init: QuicStreamInit) {
    super(init);
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => this.lose());
  }

  /** Writes all of `bytes`, which libp2p has given to this stream. */
  protected abstract put(bytes: Uint8Array): void;
  /** Takes what came; false when it is not what may come, which ends the stream as lost. */
  protected abstract take(bytes: Uint8Array): boolean;
  /** Writes what goes before the end of the stream, if anything. */
  protected abstract putEnd(): void;
  /** The stream of QUIC has come to its end. */
  protected abstract takeEnd(): void;

  /** Takes what fits; the rest stays with libp2p, which tells its writers how much that is. */
  override sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    const room = Math.max(0, UNSENT_BYTES - this.#unsent);
    const bytes = data.subarray(0, Math.min(room, data.byteLength));
    this.put(bytes);
    return { sentBytes: bytes.length, canSendMore: this.#unsent < UNSENT_BYTES };
  }

  override async sendCloseWrite(_options?: AbortOptions): Promise<void> {
    this.putEnd();
    await this.#writer.close().catch(() => this.lose());
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

  /** Hands `bytes` to QUIC. */
  protected write(bytes: Uint8Array): void {
    this.#unsent += bytes.length;
    this.#writer.write(bytes).then(() => {
      this.#unsent -= bytes.length;
      if (this.writableNeedsDrain && this.#unsent < RESUME_BYTES) this.safeDispatchEvent("drain");
    }, () => this.lose());
  }

  /** Reads until the end; to be called once, when the stream is ready to take. */
  protected async read(): Promise<void> {
    try {
      while (true) {
        while (this.readStatus === "paused") await new Promise<void>((resolve) => this.#resumed = resolve);
        const { done, value } = await this.#reader.read();
        if (done) return this.takeEnd();
        if (!this.take(value)) return this.lose();
      }
    } catch {
      // The connection was lost, or the stream was given up here.
      if (this.remoteWriteStatus !== "closed") this.lose();
    }
  }

  /** The peer gave the stream up, or the connection is gone. */
  protected lose(): void {
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
