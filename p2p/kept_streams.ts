import type { Stream } from "@libp2p/interface";
import { LINGER_MS } from "./constants.ts";
import { linger } from "./stream_io.ts";

/** How long a stream is kept for the next frame; well below the 30 s in which a peer waits for one. */
const KEPT_MS = 2_000;
/** Idle streams kept per peer; one that comes back to a full set is closed. */
const MAX_KEPT_PER_PEER = 16;

interface Kept {
  readonly stream: Stream;
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * Outbound streams that wait for their next frame: opening one costs several times what a small frame does. A peer reads
 * frames until the end of a stream, so it makes no difference to it.
 */
export class KeptStreams implements Disposable {
  readonly #kept = new Map<string, Kept[]>();
  #disposed = false;

  /** A stream to `peerId` that can be written, which from then on is the caller's. */
  take(peerId: string): Stream | undefined {
    const kept = this.#kept.get(peerId) ?? [];
    for (let one = kept.pop(); one !== undefined; one = kept.pop()) {
      clearTimeout(one.timer);
      if (kept.length === 0) this.#kept.delete(peerId);
      if (one.stream.status === "open" && one.stream.writeStatus === "writable") return one.stream;
    }
    return undefined;
  }

  /** Keeps a stream that nobody writes on any more. */
  keep(peerId: string, stream: Stream): void {
    const kept = this.#kept.get(peerId) ?? [];
    if (this.#disposed || kept.length >= MAX_KEPT_PER_PEER) return end(stream);
    const timer = setTimeout(() => {
      this.#forget(peerId, stream);
      end(stream);
    }, KEPT_MS);
    kept.push({ stream, timer });
    this.#kept.set(peerId, kept);
  }

  /** Ends the streams kept for `peerId`. */
  leave(peerId: string): void {
    for (let stream = this.take(peerId); stream !== undefined; stream = this.take(peerId)) end(stream);
  }

  /** Forgets all streams; they end with their connections. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const { timer } of [...this.#kept.values()].flat()) clearTimeout(timer);
    this.#kept.clear();
  }

  #forget(peerId: string, stream: Stream): void {
    const left = (this.#kept.get(peerId) ?? []).filter((one) => one.stream !== stream);
    if (left.length > 0) this.#kept.set(peerId, left);
    else this.#kept.delete(peerId);
  }
}

/** Closes both directions and leaves the rest to the peer. */
function end(stream: Stream): void {
  linger(stream, LINGER_MS);
  Promise.all([stream.close(), stream.closeRead()]).catch((error) => {
    stream.abort(error instanceof Error ? error : new Error("the stream could not be closed"));
  });
}
