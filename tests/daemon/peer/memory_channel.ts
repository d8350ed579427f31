import { Channel } from "../../../core/channel.ts";
import { CodedError } from "../../../core/errors.ts";
import { decodeLaneFrame, encodeLaneFrame, type LaneFrame } from "../../../daemon/peer/lane_codec.ts";
import type { FrameChannel } from "../../../p2p/mod.ts";

/** One end of a channel in memory, and what a test can do with it. */
export interface MemoryChannel extends FrameChannel {
  /** Frames that this end sent, whether the other one read them or not. */
  readonly sent: Uint8Array[];
  /** Why it was given up; undefined while it was not. */
  readonly aborted: Error | undefined;
  readonly closed: boolean;
  /** While true, sends are taken and do not resolve. */
  stalled: boolean;
}

class MemoryEnd implements MemoryChannel {
  readonly peerId = "peer";
  readonly sent: Uint8Array[] = [];
  aborted: Error | undefined;
  closed = false;
  other!: MemoryEnd;
  readonly #inbox = new Channel<Uint8Array>(100_000);
  readonly #resumed: PromiseWithResolvers<void>[] = [];
  #stalled = false;

  get stalled(): boolean {
    return this.#stalled;
  }

  set stalled(stalled: boolean) {
    this.#stalled = stalled;
    if (!stalled) { for (const waiting of this.#resumed.splice(0)) waiting.resolve(); }
  }

  async send(frame: Uint8Array): Promise<void> {
    if (this.aborted !== undefined || this.closed) throw new CodedError("unavailable", "gone");
    this.sent.push(frame);
    this.other.#inbox.push(frame);
    if (!this.#stalled) return await Promise.resolve();
    const waiting = Promise.withResolvers<void>();
    this.#resumed.push(waiting);
    await waiting.promise;
  }

  frames(): AsyncIterable<Uint8Array> {
    return this.#inbox;
  }

  close(): Promise<void> {
    this.closed = true;
    this.other.#inbox.close();
    return Promise.resolve();
  }

  abort(reason: Error): void {
    if (this.aborted !== undefined) return;
    this.aborted = reason;
    for (const end of [this, this.other]) {
      end.aborted ??= new CodedError("unavailable", "The stream has been reset");
      end.#inbox.close(end.aborted);
      for (const waiting of end.#resumed.splice(0)) waiting.reject(end.aborted);
    }
  }
}

/** Two ends of which each reads what the other sends. */
export function memoryChannels(): [MemoryChannel, MemoryChannel] {
  const [a, b] = [new MemoryEnd(), new MemoryEnd()];
  a.other = b;
  b.other = a;
  return [a, b];
}

/** The other side of a lane as a test plays it: frame by frame. */
export class FramePlayer {
  readonly #frames: AsyncIterator<Uint8Array>;

  constructor(readonly channel: FrameChannel) {
    this.#frames = channel.frames()[Symbol.asyncIterator]();
  }

  async send(frame: Exclude<LaneFrame, { kind: "unknown" }>): Promise<void> {
    await this.channel.send(encodeLaneFrame(frame));
  }

  /** The next frame; throws at the end. */
  async next(): Promise<LaneFrame> {
    const { done, value } = await this.#frames.next();
    if (done) throw new Error("the lane ended");
    return decodeLaneFrame(value, { maxItems: 1000 });
  }

  /** The next frame, which has to be of that kind. */
  async expect<K extends LaneFrame["kind"]>(kind: K): Promise<LaneFrame & { kind: K }> {
    const frame = await this.next();
    if (frame.kind !== kind) throw new Error(`expected ${kind}, got ${frame.kind}`);
    return frame as LaneFrame & { kind: K };
  }
}

/** Lets everything run that needs no more input. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}
