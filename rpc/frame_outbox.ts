import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallResponseFrameSchema, CallsResponseSchema } from "../gen/agentanycast/v1/call_service_pb.ts";

/** Most bytes of frames that travel together; a larger frame travels alone. */
const MAX_BATCH_BYTES = 256 * 1024;
/** What a frame costs besides its message and text. */
const FRAME_BYTES = 64;

type Frame = MessageInitShape<typeof CallResponseFrameSchema>;
type Batch = MessageInitShape<typeof CallsResponseSchema>;

/** Frames waiting to be sent, taken in batches: what is there when the transport has room travels together. */
export class FrameOutbox implements AsyncIterator<Batch> {
  #frames: Frame[] = [];
  #bytes = 0;
  #closed: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #room = Promise.withResolvers<void>();

  /** Whether as much waits as is good; who can should then wait for {@link room}. */
  get full(): boolean {
    return this.#bytes >= MAX_BATCH_BYTES && this.#closed === undefined;
  }

  /** Resolves when it is not full any more, at once when it is not full. */
  async room(): Promise<void> {
    while (this.full) await this.#room.promise;
  }

  /** Adds a frame, also when full: the bound is what callers do with {@link full}. Nothing after the end. */
  push(frame: Frame): void {
    if (this.#closed !== undefined) return;
    this.#frames.push(frame);
    this.#bytes += sizeOf(frame);
    this.#wake?.();
  }

  /** Ends the batches after what is waiting; with `error`, the reader then meets it. */
  close(error?: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = { error };
    this.#wake?.();
    this.#makeRoom();
  }

  async next(): Promise<IteratorResult<Batch>> {
    while (this.#frames.length === 0) {
      if (this.#closed !== undefined) {
        if (this.#closed.error !== undefined) throw this.#closed.error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
      // What becomes ready in the same turn goes along: a message of its own costs more than its frame.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return { done: false, value: { frames: this.#take() } };
  }

  #take(): Frame[] {
    let count = 0;
    let bytes = 0;
    for (const frame of this.#frames) {
      const size = sizeOf(frame);
      if (count > 0 && bytes + size > MAX_BATCH_BYTES) break;
      bytes += size;
      count++;
    }
    const taken = this.#frames.splice(0, count);
    this.#bytes -= bytes;
    if (!this.full) this.#makeRoom();
    return taken;
  }

  #makeRoom(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }
}

function sizeOf({ message, error }: Frame): number {
  return FRAME_BYTES + (message?.length ?? 0) + (error?.length ?? 0);
}
