import type { ClientHttp2Stream } from "node:http2";
import { abortable } from "../core/abortable.ts";

/** What an upload needs besides its stream and its requests. */
export interface UploadOptions<T> {
  /** The bytes of a request on the wire. */
  readonly toFrame: (request: T) => Uint8Array;
  /** Fires when the call is over. */
  readonly signal: AbortSignal;
}

/**
 * Writes each request when the other side has room for it and ends the stream after the last one. The iteration is ended when
 * `signal` fires. Throws what the iteration throws.
 */
export async function uploadTo<T>(
  stream: ClientHttp2Stream,
  requests: AsyncIterable<T>,
  { toFrame, signal }: UploadOptions<T>,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  let over = false;
  try {
    while (true) {
      const next = await abortable(iterator.next(), signal);
      over = next.done === true;
      if (next.done) break;
      if (!stream.write(toFrame(next.value))) await drained(stream, signal);
    }
    stream.end();
  } catch (error) {
    if (!signal.aborted) throw error;
    // The call is over, and whoever made it knows why.
  } finally {
    // Not waited for: return() of a generator lasts as long as what it is awaiting.
    if (!over) iterator.return?.().catch(() => {/* nobody asks any more */});
  }
}

/** Resolves when what was written has gone out. Throws the reason of `signal`. */
async function drained(stream: ClientHttp2Stream, signal: AbortSignal): Promise<void> {
  let onRoom = () => {};
  try {
    const roomy = new Promise<void>((resolve) => onRoom = resolve);
    stream.once("drain", onRoom);
    stream.once("close", onRoom);
    await abortable(roomy, signal);
  } finally {
    stream.off("drain", onRoom);
    stream.off("close", onRoom);
  }
}
