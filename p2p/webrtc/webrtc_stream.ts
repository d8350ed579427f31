import type { AbortOptions } from "@libp2p/interface";
import { AbstractStream, type AbstractStreamInit } from "@libp2p/utils";
import type { Uint8ArrayList } from "uint8arraylist";
import type { ChannelEvents, DataChannel } from "./data_channels.ts";
import { encodeStreamMessage, FLAG, MAX_CONTENT_BYTES, StreamMessageReader } from "./stream_message.ts";

/** Bytes that may wait above which the writer has to, and below which it goes on. */
const UNSENT_BYTES = 256 * 1024;
const RESUME_BYTES = 64 * 1024;
/** How long a channel that both sides have finished waits for the peer to say that it has all. */
const LAST_WORD_MS = 5_000;

/** A libp2p stream on a data channel, whose messages say what the channel itself cannot: half an end, or none in order. */
export class WebRtcStream extends AbstractStream implements ChannelEvents {
  readonly #channel: DataChannel;
  readonly #reader = new StreamMessageReader();
  #ends = { sent: false, acknowledged: false, received: false };
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: DataChannel, init: AbstractStreamInit) {
    super(init);
    this.#channel = channel;
    channel.attach(this);
  }

  /** Takes what fits; the rest stays with libp2p, which tells its writers how much that is. */
  override sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    const room = Math.max(0, UNSENT_BYTES - this.#channel.unsentBytes);
    const bytes = data.subarray(0, Math.min(room, data.byteLength));
    for (let offset = 0; offset < bytes.length; offset += MAX_CONTENT_BYTES) {
      const content = bytes.subarray(offset, offset + MAX_CONTENT_BYTES);
      this.#channel.send(encodeStreamMessage({ content }));
    }
    return { sentBytes: bytes.length, canSendMore: this.#channel.unsentBytes < UNSENT_BYTES };
  }

  override sendCloseWrite(_options?: AbortOptions): Promise<void> {
    this.#channel.send(encodeStreamMessage({ flag: FLAG.fin }));
    this.#ends.sent = true;
    this.#finish();
    return Promise.resolve();
  }

  override sendCloseRead(): Promise<void> {
    this.#channel.send(encodeStreamMessage({ flag: FLAG.stopSending }));
    this.#channel.resume();
    return Promise.resolve();
  }

  override sendReset(): void {
    this.#channel.send(encodeStreamMessage({ flag: FLAG.reset }));
    this.#close();
  }

  override sendPause(): void {
    this.#channel.pause();
  }

  override sendResume(): void {
    this.#channel.resume();
  }

  onMessage(bytes: Uint8Array): void {
    try {
      for (const { flag, content } of this.#reader.take(bytes)) {
        if (content !== undefined && !this.#ends.received) this.onData(content);
        if (flag !== undefined) this.#onFlag(flag);
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.abort(error);
    }
  }

  onProgress(): void {
    if (this.writableNeedsDrain && this.#channel.unsentBytes < RESUME_BYTES) this.safeDispatchEvent("drain");
  }

  onClosed(): void {
    clearTimeout(this.#timer);
    // Nothing more will be said.
    this.#ends.acknowledged = true;
    if (this.status !== "open") return;
    // A peer that has said all and wants to hear no more may close without waiting for our end; what it said stays readable.
    if (this.#ends.received) this.onRemoteCloseRead();
    else this.onRemoteReset();
  }

  #onFlag(flag: number): void {
    if (flag === FLAG.fin) {
      // Answered once: what a peer repeats for nothing must not fill our queue.
      if (this.#ends.received) return;
      this.#channel.send(encodeStreamMessage({ flag: FLAG.finAck }));
      this.#ends.received = true;
      this.onRemoteCloseWrite();
      this.#finish();
    } else if (flag === FLAG.finAck) {
      this.#ends.acknowledged = true;
      this.#finish();
    } else if (flag === FLAG.stopSending) this.onRemoteCloseRead();
    else if (flag === FLAG.reset) {
      if (this.status === "open") this.onRemoteReset();
      this.#close();
    }
  }

  /** Closes the channel when nothing more is to come or to go. */
  #finish(): void {
    if (!this.#ends.sent || !this.#ends.received) return;
    if (this.#ends.acknowledged) this.#close();
    else this.#timer ??= setTimeout(() => this.#close(), LAST_WORD_MS);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#channel.close();
  }
}
