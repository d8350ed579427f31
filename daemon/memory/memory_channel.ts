import { Buffer } from "node:buffer";
import { CodedError } from "../../core/errors.ts";
import type { FrameChannel } from "../../p2p/mod.ts";

/** Frames that wait for their reader; beyond that the writer waits. */
const CAPACITY = 16;

/** The way of messages in one direction. */
export interface Way {
  /** Resolves when a message has arrived. Throws `unavailable` when it is lost. */
  pass(): Promise<void>;
}

/** Both ends of a channel. */
export function channelPair(
  { near, far, broken, there, back }: {
    near: string;
    far: string;
    broken: AbortSignal;
    there: Way;
    back: Way;
  },
): { near: FrameChannel; far: FrameChannel } {
  const pipes = { there: new Pipe(there), back: new Pipe(back) };
  const fail = (reason: CodedError) => {
    pipes.there.fail(reason);
    pipes.back.fail(reason);
  };
  broken.addEventListener("abort", () => fail(broken.reason), { once: true });
  if (broken.aborted) fail(broken.reason);
  return {
    near: new MemoryChannel(far, { out: pipes.there, into: pipes.back, fail }),
    far: new MemoryChannel(near, { out: pipes.back, into: pipes.there, fail }),
  };
}

interface Ends {
  readonly out: Pipe;
  readonly into: Pipe;
  readonly fail: (reason: CodedError) => void;
}

class MemoryChannel implements FrameChannel {
  readonly #ends: Ends;

  constructor(readonly peerId: string, ends: Ends) {
    this.#ends = ends;
  }

  send(
    frame: Uint8Array | readonly Uint8Array[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    // A copy, as a wire makes one.
    return this.#ends.out.push(
      new Uint8Array(Buffer.concat(frame instanceof Uint8Array ? [frame] : frame)),
      signal,
    );
  }

  frames(): AsyncIterable<Uint8Array> {
    const { into, fail } = this.#ends;
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => into.pull(),
        return() {
          if (!into.isOver) fail(new CodedError("unavailable", "Nobody reads the channel any more"));
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
  }

  close(): Promise<void> {
    return this.#ends.out.end();
  }

  abort(reason: Error): void {
    // Here what waits fails with the reason, there as with a reset.
    this.#ends.into.fail(reason);
    this.#ends.out.fail(reason);
    this.#ends.fail(new CodedError("unavailable", "The peer gave the channel up", { cause: reason }));
  }
}

/** Frames in one direction, in their order. */
class Pipe {
  readonly #way: Way;
  readonly #frames: Uint8Array[] = [];
  /** What is on its way, one after the other. */
  #travel: Promise<void> = Promise.resolve();
  #travelling = 0;
  #ended = false;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];

  constructor(way: Way) {
    this.#way = way;
  }

  /** Whether nothing comes any more. */
  get isOver(): boolean {
    return this.#failure !== undefined || (this.#ended && this.#frames.length === 0);
  }

  async push(frame: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    this.#travelling++;
    const passing = this.#way.pass();
    this.#then(passing, () => {
      this.#travelling--;
      this.#frames.push(frame);
    });
    while (this.#failure === undefined && this.#travelling + this.#frames.length > CAPACITY) {
      signal?.throwIfAborted();
      await this.#changed(signal);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async pull(): Promise<IteratorResult<Uint8Array>> {
    while (true) {
      if (this.#failure !== undefined) throw this.#failure;
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#wake();
        return { done: false, value: frame };
      }
      if (this.#ended) return { done: true, value: undefined };
      await this.#changed();
    }
  }

  /** Ends behind what was pushed. */
  end(): Promise<void> {
    this.#then(Promise.resolve(), () => this.#ended = true);
    return Promise.resolve();
  }

  fail(reason: Error): void {
    // What has arrived whole can still be read up to an orderly end, as from a stream that was closed before it broke.
    if (this.#failure !== undefined || this.#ended) return;
    this.#failure = reason;
    this.#wake();
  }

  /** Does `arrive` behind what left before, when `passing` is through. */
  #then(passing: Promise<void>, arrive: () => void): void {
    this.#travel = Promise.all([this.#travel, passing]).then(() => {
      if (this.#failure !== undefined) return;
      arrive();
      this.#wake();
    }).catch((error) => this.fail(error));
  }

  #changed(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
