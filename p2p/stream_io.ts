import type { Stream } from "@libp2p/interface";
import { CodedError } from "../core/errors.ts";
import { SMALL_FRAME_BYTES } from "./constants.ts";
import type { ByteLease } from "./byte_budget.ts";
import { type DeadlineOptions, withDeadline } from "./deadline.ts";
import { FrameDecoder, frameHeader } from "./frames.ts";

/**
 * Pulls bytes from a stream. While nobody pulls, the stream is paused, so that the peer stops at its window instead of
 * filling our memory.
 */
export class StreamSource implements Disposable {
  readonly #chunks: Uint8Array[] = [];
  readonly #listeners = new AbortController();
  #error: unknown;
  #endSeen: boolean;
  #wake: () => void = () => {};

  constructor(readonly stream: Stream) {
    // A stream that was reset or given up counts as closed in both directions, and its peer has said nothing.
    this.#endSeen = stream.remoteWriteStatus === "closed" && !["aborted", "reset"].includes(stream.status);
    if (stream.readStatus === "readable") stream.pause();
    const options = { signal: this.#listeners.signal };
    stream.addEventListener("message", ({ data }) => {
      if (data instanceof Uint8Array) this.#chunks.push(data);
      else this.#chunks.push(...data);
      this.#wake();
    }, options);
    stream.addEventListener("remoteCloseWrite", () => {
      this.#endSeen = true;
      this.#wake();
    }, options);
    stream.addEventListener("close", ({ error }) => {
      this.#error = error;
      this.#wake();
    }, options);
  }

  /** The next bytes, or undefined at the peer's end. Throws when the stream was reset or lost or `signal` fired. */
  async pull(signal: AbortSignal): Promise<Uint8Array | undefined> {
    const onAbort = () => this.#wake();
    signal.addEventListener("abort", onAbort);
    try {
      if (this.#chunks.length === 0) this.#resume();
      while (this.#chunks.length === 0 && !this.#ended) {
        signal.throwIfAborted();
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      if (this.stream.readStatus === "readable") this.stream.pause();
      const chunk = this.#chunks.shift();
      if (chunk === undefined && this.#error !== undefined) throw this.#error;
      if (chunk === undefined && !this.#endSeen) throw connectionLost();
      return chunk;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  get #ended(): boolean {
    const { readStatus, readBufferLength, remoteWriteStatus, status } = this.stream;
    if (this.#error !== undefined || readStatus === "closed") return true;
    return readBufferLength === 0 && (remoteWriteStatus === "closed" || status !== "open");
  }

  #resume(): void {
    if (this.stream.readStatus !== "paused") return;
    try {
      this.stream.resume();
    } catch (error) {
      // It hands over what it holds, then tells the peer; with the connection gone only the second half can fail.
      if (this.stream.status === "open") throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#listeners.abort();
  }
}

/** How frames are read: the longest time for one frame, and what accounts for its bytes while it is held. */
export interface ReadFramesOptions {
  timeoutMs: number;
  lease: ByteLease;
  signal?: AbortSignal | undefined;
}

/**
 * The frames of `stream` until its end; the time the consumer takes with a frame does not count. Throws
 * `out_of_range` (too long), `data_loss` (cut), `resource_exhausted` (budget), or what ended the stream.
 */
export async function* readFrames(stream: Stream, options: ReadFramesOptions): AsyncGenerator<Uint8Array> {
  using source = new StreamSource(stream);
  using lease = options.lease;
  const decoder = new FrameDecoder();
  let frameStartMs = performance.now();
  while (true) {
    const timeoutMs = Math.max(0, frameStartMs + options.timeoutMs - performance.now());
    const chunk = await withDeadline({ timeoutMs, signal: options.signal }, (signal) => source.pull(signal));
    if (chunk === undefined) return decoder.end();
    for (const frame of decoder.decode(chunk)) {
      lease.resize(frame.length);
      yield frame;
      frameStartMs = performance.now();
    }
    lease.resize(decoder.pendingBytes);
  }
}

/** How long a write may stand still, the longest time it may take in all, and the caller's signal. */
export interface WriteFrameOptions {
  stallTimeoutMs: number;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** Writes one frame and leaves the stream open; resolves when the transport takes more. */
export async function sendFrame(
  stream: Stream,
  frame: Uint8Array,
  options: WriteFrameOptions,
): Promise<void> {
  if (send(stream, frame)) return;
  const deadline = { timeoutMs: options.stallTimeoutMs, signal: options.signal };
  await withDeadline(deadline, (signal) => stream.onDrain({ signal }));
}

/** Writes one frame and closes our end; resolves when the transport has all of it. */
export async function writeFrame(
  stream: Stream,
  frame: Uint8Array,
  options: WriteFrameOptions,
): Promise<void> {
  await withDeadline(
    { timeoutMs: options.timeoutMs, signal: options.signal },
    (whole) =>
      withDeadline({ timeoutMs: options.stallTimeoutMs, signal: whole }, async (signal, renew) => {
        stream.addEventListener("drain", renew);
        try {
          send(stream, frame);
          await closeWrite(stream, signal);
        } finally {
          stream.removeEventListener("drain", renew);
        }
      }),
  );
}

async function closeWrite(stream: Stream, signal: AbortSignal): Promise<void> {
  try {
    await stream.close({ signal });
  } catch (error) {
    if (!(error instanceof Event)) throw error;
    // libp2p rejects with the event that closed the stream.
    throw "error" in error && error.error !== undefined ? error.error : connectionLost();
  }
}

function connectionLost(): Error {
  return new Error("the connection was lost");
}

/** Hands the frame to the transport; false when that has enough for now. */
function send(stream: Stream, frame: Uint8Array): boolean {
  const header = frameHeader(frame.length);
  if (frame.length > SMALL_FRAME_BYTES) {
    stream.send(header);
    return stream.send(frame);
  }
  const whole = new Uint8Array(header.length + frame.length);
  whole.set(header);
  whole.set(frame, header.length);
  return stream.send(whole);
}

/** Closes our end once the transport has what was written. */
export async function closeStream(stream: Stream, deadline: DeadlineOptions): Promise<void> {
  await withDeadline(deadline, (signal) => closeWrite(stream, signal));
}

/** Leaves a stream to the peer's end of it; resets it when that has not come after `lingerMs`. */
export function linger(stream: Stream, lingerMs: number): void {
  if (stream.status !== "open") return;
  const timer = setTimeout(() => {
    stream.abort(new CodedError("deadline_exceeded", "The peer did not close its end of the stream"));
  }, lingerMs);
  stream.addEventListener("close", () => clearTimeout(timer), { once: true });
}
