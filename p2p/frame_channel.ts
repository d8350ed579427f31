import type { Stream, StreamCloseEvent } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { abortable } from "../core/abortable.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { ByteLease } from "./byte_budget.ts";
import { ChannelReader, lost } from "./channel_reader.ts";
import { LINGER_MS, MAX_CHANNEL_FRAME_BYTES, SMALL_FRAME_BYTES } from "./constants.ts";
import { concat } from "./concat.ts";
import { withDeadline } from "./deadline.ts";
import { frameHeader } from "./frames.ts";
import { closeStream, linger } from "./stream_io.ts";

/** Bytes that the transport may still have to send while it takes more. */
const UNSENT_BYTES = 256 * 1024;
/** Bytes handed in and not written, above which a writer that does not wait is refused. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/** Frames both ways over one libp2p stream that lives as long as both sides want. */
export interface FrameChannel {
  readonly peerId: string;
  /**
   * Hands a frame of at most 16 MiB + 64 KiB, whole or in parts, to the transport; it must not be changed afterwards.
   * Resolves when the transport takes more. Throws `invalid_argument` (too long), `unavailable` (the channel is gone), `deadline_exceeded`
   * (the write stood still; the channel is then gone), `resource_exhausted` (64 MiB are waiting: await each send), and by
   * `signal`, which ends the waiting and not the frame.
   */
  send(
    frame: Uint8Array | readonly Uint8Array[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<void>;
  /**
   * Frames of the peer in order, for one reader; while nobody pulls, the peer stops at its window. Ends at the peer's end;
   * throws `unavailable` (the stream was lost), `out_of_range`, `data_loss`, `deadline_exceeded` or `resource_exhausted` (a
   * frame that is too long, cut, late, or too much), or what {@link abort} was given.
   */
  frames(): AsyncIterable<Uint8Array>;
  /** Ends our side after what was sent; both sides ended = gone. Throws as {@link send} when that could not be written. */
  close(): Promise<void>;
  /** Gives it up at once: the peer sees a reset, what waits here fails with `reason`. */
  abort(reason: Error): void;
}

/** What a channel works with. */
export interface FrameChannelDeps {
  peerId: string;
  lease: ByteLease;
  /** Gives the channel up when it fires. */
  signal: AbortSignal;
}

/** Bounds of a channel. */
export interface FrameChannelOptions {
  frameTimeoutMs: number;
  writeStallTimeoutMs: number;
}

interface Batch {
  /** Headers and bodies in their order. */
  readonly parts: Uint8Array[];
  bytes: number;
  readonly written: PromiseWithResolvers<void>;
}

/** A channel over a libp2p stream, which is its own from then on. */
export class StreamFrameChannel implements FrameChannel {
  readonly peerId: string;
  readonly #stream: Stream;
  readonly #deps: FrameChannelDeps;
  readonly #options: FrameChannelOptions;
  readonly #reader: ChannelReader;
  #read = false;
  #gone: CodedError | undefined;
  #closing: Promise<void> | undefined;
  /** Frames handed in since the last write. */
  #batch: Batch | undefined;
  #writing = false;
  /** Written, but the transport takes no more yet. */
  #blocked: Batch | undefined;
  #progressAtMs = 0;
  #stallTimer: ReturnType<typeof setTimeout> | undefined;
  /** Runs while our side is closed and nobody has begun to read. */
  #unreadTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: Stream, deps: FrameChannelDeps, options: FrameChannelOptions) {
    this.peerId = deps.peerId;
    this.#stream = stream;
    this.#deps = deps;
    this.#options = options;
    this.#reader = new ChannelReader(stream, {
      maxFrameBytes: MAX_CHANNEL_FRAME_BYTES,
      frameTimeoutMs: options.frameTimeoutMs,
      lease: deps.lease,
      onFault: (error) => this.abort(error),
    });
    stream.addEventListener("drain", this.#onProgress);
    stream.addEventListener("idle", this.#onProgress);
    stream.addEventListener("close", this.#onClose);
    deps.signal.addEventListener("abort", this.#onHostClosing);
    if (deps.signal.aborted) this.#onHostClosing();
    else if (stream.status !== "open") this.#end(lost());
  }

  async send(
    frame: Uint8Array | readonly Uint8Array[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    if (signal?.aborted) throw toCodedError(signal.reason);
    if (this.#gone !== undefined) throw this.#gone;
    if (this.#closing !== undefined) throw lost("our side was closed");
    const parts = frame instanceof Uint8Array ? [frame] : frame;
    const bytes = byteLength(parts);
    const header = frameHeader(bytes, MAX_CHANNEL_FRAME_BYTES);
    const batch = this.#batch ??= { parts: [], bytes: 0, written: Promise.withResolvers() };
    if (batch.bytes > MAX_QUEUED_BYTES) {
      throw new CodedError(
        "resource_exhausted",
        `Could not send to ${this.peerId}: ${batch.bytes} bytes wait to be written; wait for earlier sends`,
      );
    }
    batch.parts.push(header, ...parts);
    batch.bytes += bytes;
    if (!this.#writing) {
      this.#writing = true;
      queueMicrotask(() => this.#write());
    }
    if (signal === undefined) return await batch.written.promise;
    try {
      await abortable(batch.written.promise, signal);
    } catch (error) {
      throw toCodedError(error);
    }
  }

  frames(): AsyncIterable<Uint8Array> {
    if (this.#read) throw new TypeError("A channel has one reader");
    this.#read = true;
    clearTimeout(this.#unreadTimer);
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => this.#reader.next(),
        return: () => this.#leave(),
      }),
    };
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  abort(reason: Error): void {
    if (this.#gone !== undefined) return;
    this.#end(reason instanceof CodedError ? reason : lost(reason));
    this.#stream.abort(reason);
  }

  /** Closes our side and reads no more; the peer gets some time to end its side. */
  async finish(): Promise<void> {
    await this.close();
    await this.#lingerUnread();
  }

  async #leave(): Promise<IteratorResult<Uint8Array>> {
    const end = await this.#reader.return();
    if (this.#closing !== undefined) await this.#lingerUnread();
    return end;
  }

  async #close(): Promise<void> {
    if (this.#gone !== undefined) return;
    const last = this.#batch ?? this.#blocked;
    if (last !== undefined) await last.written.promise;
    try {
      const deadline = { timeoutMs: this.#options.writeStallTimeoutMs };
      await withDeadline(deadline, async (signal, renew) => {
        this.#stream.addEventListener("drain", renew);
        try {
          await closeStream(this.#stream, { timeoutMs: this.#options.frameTimeoutMs, signal });
        } finally {
          this.#stream.removeEventListener("drain", renew);
        }
      });
    } catch (cause) {
      const late = cause instanceof DOMException && cause.name === "TimeoutError";
      const error = this.#gone ?? (late ? this.#stalled() : lost(cause));
      this.abort(error);
      throw error;
    }
    if (this.#reader.done) return await this.#lingerUnread();
    if (!this.#read && this.#gone === undefined) {
      this.#unreadTimer = setTimeout(() => this.abort(lost("nobody read what the peer sent")), LINGER_MS);
    }
  }

  /** With nobody to read, what the peer still sends is thrown away, and its end is not waited for without bound. */
  async #lingerUnread(): Promise<void> {
    await this.#reader.return();
    if (this.#gone !== undefined) return;
    linger(this.#stream, LINGER_MS);
    await this.#stream.closeRead();
  }

  #write(): void {
    try {
      while (this.#batch !== undefined) {
        const batch = this.#blocked = this.#batch;
        this.#batch = undefined;
        this.#stream.send(joinShort(batch));
        if (this.#stream.writeBufferLength > UNSENT_BYTES) {
          this.#progressAtMs = performance.now();
          this.#stallTimer ??= setTimeout(this.#onStallTimer, this.#options.writeStallTimeoutMs);
          return;
        }
        this.#blocked = undefined;
        batch.written.resolve();
      }
      this.#writing = false;
    } catch (cause) {
      this.abort(lost(cause));
    }
  }

  readonly #onProgress = () => {
    if (this.#blocked === undefined) return;
    this.#progressAtMs = performance.now();
    // libp2p goes on writing in a microtask that is queued before this one.
    queueMicrotask(() => {
      if (this.#blocked === undefined || this.#stream.writeBufferLength > UNSENT_BYTES) return;
      this.#blocked.written.resolve();
      this.#blocked = undefined;
      this.#write();
    });
  };

  readonly #onStallTimer = () => {
    this.#stallTimer = undefined;
    if (this.#blocked === undefined) return;
    const { writeStallTimeoutMs } = this.#options;
    const leftMs = this.#progressAtMs + writeStallTimeoutMs - performance.now();
    if (leftMs > 0) {
      this.#stallTimer = setTimeout(this.#onStallTimer, Math.ceil(leftMs));
      return;
    }
    this.abort(this.#stalled());
  };

  #stalled(): CodedError {
    return new CodedError(
      "deadline_exceeded",
      `Could not send to ${this.peerId}: it took no bytes for ${this.#options.writeStallTimeoutMs} ms; ` +
        "the channel was given up, open a new one",
    );
  }

  readonly #onClose = ({ error }: StreamCloseEvent) => this.#end(lost(error), { tellReader: false });

  readonly #onHostClosing = () => this.abort(toCodedError(this.#deps.signal.reason));

  #end(error: CodedError, { tellReader = true } = {}): void {
    if (this.#gone !== undefined) return;
    this.#gone = error;
    this.#stream.removeEventListener("drain", this.#onProgress);
    this.#stream.removeEventListener("idle", this.#onProgress);
    this.#stream.removeEventListener("close", this.#onClose);
    this.#deps.signal.removeEventListener("abort", this.#onHostClosing);
    clearTimeout(this.#stallTimer);
    for (const batch of [this.#blocked, this.#batch]) batch?.written.reject(error);
    this.#blocked = this.#batch = undefined;
    clearTimeout(this.#unreadTimer);
    // A stream that closed told its reader by itself, who may still have frames to read.
    if (tellReader) this.#reader.fail(error);
  }
}

/** What is to be written, in one go: short parts that follow each other joined, long ones as they are. */
function joinShort({ parts }: Batch): Uint8ArrayList {
  const whole = new Uint8ArrayList();
  let short: Uint8Array[] = [];
  const join = () => {
    if (short.length > 0) whole.append(concat(short));
    short = [];
  };
  for (const part of parts) {
    if (part.length <= SMALL_FRAME_BYTES) short.push(part);
    else {
      join();
      whole.append(part);
    }
  }
  join();
  return whole;
}

function byteLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((length, part) => length + part.length, 0);
}
