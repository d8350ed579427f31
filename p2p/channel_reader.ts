import {
  type Stream,
  type StreamCloseEvent,
  type StreamMessageEvent,
  UnsupportedProtocolError,
} from "@libp2p/interface";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { ByteLease } from "./byte_budget.ts";
import { FrameDecoder } from "./frames.ts";

/** Unread bytes at which the stream is paused; the peer then stops at its window. */
const PAUSE_BYTES = 256 * 1024;
/** Unread bytes at which a paused stream goes on. */
const RESUME_BYTES = 64 * 1024;

/** How frames are read. */
export interface ChannelReaderOptions {
  maxFrameBytes: number;
  /** Longest time for which a frame that has begun may be waited for. */
  frameTimeoutMs: number;
  /** Accounts for the frame that is arriving and the one that was handed out last. */
  lease: ByteLease;
  /** Told of what makes the stream useless: a frame that is too long, cut or late, or too many bytes. */
  onFault(error: CodedError): void;
}

/**
 * Cuts what a stream brings into frames, for one reader. A frame that has arrived costs neither a timer nor a turn of
 * the event loop; while nobody reads, the stream is paused.
 */
export class ChannelReader implements AsyncIterableIterator<Uint8Array> {
  readonly #stream: Stream;
  readonly #options: ChannelReaderOptions;
  readonly #decoder: FrameDecoder;
  #chunks: Uint8Array[] = [];
  #nextChunk = 0;
  #unreadBytes = 0;
  #decoding: Generator<Uint8Array> | undefined;
  #remoteEnded: boolean;
  #failure: CodedError | undefined;
  #done = false;
  #waiting: (() => void) | undefined;
  #begunAtMs: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: Stream, options: ChannelReaderOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#decoder = new FrameDecoder(options.maxFrameBytes);
    this.#remoteEnded = stream.remoteWriteStatus === "closed";
    stream.addEventListener("message", this.#onMessage);
    stream.addEventListener("remoteCloseWrite", this.#onRemoteEnd);
    stream.addEventListener("close", this.#onClose);
  }

  /** Whether no more frames will be asked for or come. */
  get done(): boolean {
    return this.#done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next frame, or the end; rejects when the stream was lost. One call at a time. */
  next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const frame = this.#take();
      if (frame !== undefined) return Promise.resolve({ done: false, value: frame });
      if (this.#ended()) return Promise.resolve(this.#finish());
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#waiting === undefined) return this.#wait();
    return Promise.reject(new TypeError("A channel has one reader, which awaits each frame"));
  }

  /** The reader leaves: nothing more is taken from the stream. */
  return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#done && this.#stream.readStatus === "readable") this.#stream.pause();
    return Promise.resolve(this.#finish());
  }

  /** Ends the frames with `error` after those that have arrived. */
  fail(error: CodedError): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #wait(): Promise<IteratorResult<Uint8Array>> {
    while (true) {
      this.#watchFrame();
      await new Promise<void>((resolve) => this.#waiting = resolve);
      const frame = this.#take();
      if (frame !== undefined) return { done: false, value: frame };
      if (this.#ended()) return this.#finish();
    }
  }

  #take(): Uint8Array | undefined {
    if (this.#done) return undefined;
    try {
      while (true) {
        const frame = this.#decoding?.next();
        if (frame?.done === false) {
          this.#begunAtMs = undefined;
          this.#options.lease.resize(frame.value.length);
          return frame.value;
        }
        this.#decoding = undefined;
        const chunk = this.#shift();
        if (chunk === undefined) break;
        this.#decoding = this.#decoder.decode(chunk);
      }
      this.#options.lease.resize(this.#decoder.pendingBytes);
      return undefined;
    } catch (error) {
      throw this.#fault(error);
    }
  }

  #shift(): Uint8Array | undefined {
    if (this.#unreadBytes <= RESUME_BYTES) this.#resume();
    const chunk = this.#chunks[this.#nextChunk];
    if (chunk === undefined) {
      this.#chunks = [];
      this.#nextChunk = 0;
      return undefined;
    }
    this.#nextChunk++;
    this.#unreadBytes -= chunk.length;
    return chunk;
  }

  #resume(): void {
    if (this.#stream.readStatus !== "paused") return;
    try {
      this.#stream.resume();
    } catch (error) {
      // It hands over what it holds, then tells the peer; with the connection gone only the second half can fail.
      if (this.#stream.status === "open") throw error;
    }
  }

  /** Whether nothing more can come. Throws when that is not how the peer ends a stream. */
  #ended(): boolean {
    if (this.#done) return true;
    if (this.#failure !== undefined) {
      this.#finish();
      throw this.#failure;
    }
    if (!this.#remoteEnded || this.#stream.readBufferLength > 0) return false;
    try {
      this.#decoder.end();
    } catch (error) {
      throw this.#fault(error);
    }
    return true;
  }

  #finish(): IteratorResult<Uint8Array> {
    this.#done = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#chunks = [];
    this.#decoding = undefined;
    this.#options.lease[Symbol.dispose]();
    this.#stream.removeEventListener("message", this.#onMessage);
    this.#stream.removeEventListener("remoteCloseWrite", this.#onRemoteEnd);
    this.#stream.removeEventListener("close", this.#onClose);
    return { done: true, value: undefined };
  }

  #fault(cause: unknown): CodedError {
    const error = cause instanceof CodedError
      ? cause
      : new CodedError("unavailable", `Could not read from the channel: ${errorMessage(cause)}`, { cause });
    this.#finish();
    this.#options.onFault(error);
    return error;
  }

  /** Sees to it that a frame which has begun arrives in time, with one timer for however many frames. */
  #watchFrame(): void {
    if (!this.#decoder.begun) return;
    this.#begunAtMs ??= performance.now();
    this.#timer ??= setTimeout(this.#onTimer, this.#options.frameTimeoutMs);
  }

  readonly #onTimer = () => {
    this.#timer = undefined;
    if (this.#begunAtMs === undefined || this.#waiting === undefined) return;
    const { frameTimeoutMs } = this.#options;
    const leftMs = this.#begunAtMs + frameTimeoutMs - performance.now();
    if (leftMs > 0) {
      this.#timer = setTimeout(this.#onTimer, Math.ceil(leftMs));
      return;
    }
    const error = new CodedError("deadline_exceeded", `A frame did not arrive within ${frameTimeoutMs} ms`);
    this.#options.onFault(error);
  };

  readonly #onMessage = ({ data }: StreamMessageEvent) => {
    if (data instanceof Uint8Array) this.#chunks.push(data);
    else this.#chunks.push(...data);
    this.#unreadBytes += data.byteLength;
    if (this.#unreadBytes >= PAUSE_BYTES && this.#stream.readStatus === "readable") this.#stream.pause();
    this.#wake();
  };

  readonly #onRemoteEnd = () => {
    this.#remoteEnded = true;
    this.#wake();
  };

  readonly #onClose = ({ error }: StreamCloseEvent) => {
    // An orderly close follows the end of both sides; without the peer's end the stream was lost.
    if (error !== undefined || !this.#remoteEnded) this.#failure ??= lost(error);
    this.#wake();
  };

  #wake(): void {
    const wake = this.#waiting;
    this.#waiting = undefined;
    wake?.();
  }
}

/** The error of a stream that ended without the peer having said so. */
export function lost(cause?: unknown): CodedError {
  const found = cause === undefined ? "the connection was lost" : errorMessage(cause);
  // The protocol was agreed ahead, and the answer was another one.
  const code = cause instanceof UnsupportedProtocolError ? "unimplemented" : "unavailable";
  return new CodedError(code, `The channel to the peer is gone: ${found}; open a new one`, {
    cause,
  });
}
