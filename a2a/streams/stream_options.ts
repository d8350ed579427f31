import { isIntegerWithin } from "./stream_checks.ts";

const MIB = 1024 * 1024;

/** Bytes that a chunk counts in a window besides its own: empty ones cost too. */
export const CHUNK_COST_BYTES = 64;

/** How soon after one flush the next follows, unless there is much to flush: each costs the same, however much it is. */
export const FLUSH_PAUSE_MS = 5;

/** Bounds and times of streamed artifacts. */
export interface StreamOptions {
  /** Bytes a sender keeps unacknowledged, and bytes a receiver acknowledges ahead of its slowest reader. Default 8 MiB. */
  readonly windowBytes: number;
  /** Longest chunk. Default 4 MiB; at most `windowBytes`. */
  readonly maxChunkBytes: number;
  /** Most streams of a task that are open at once, each way. Default 16. */
  readonly maxOpenPerTask: number;
  /** Most channels of a peer that are open at once. Default 64. */
  readonly maxOpenPerPeer: number;
  /** Most artifacts of a task, open or ended. Default 256. */
  readonly maxArtifactsPerTask: number;
  /** Most subscribers of a task. Default 32. */
  readonly maxSubscribersPerTask: number;
  /** Bytes of all streams to a peer that takes none, which travel with the end of their task. Default 8 MiB. */
  readonly maxCollectedBytes: number;
  /** Up to this size a finished artifact is handed out as bytes, above as a file. Default 1 MiB. */
  readonly maxInlineBytes: number;
  /** Written bytes that are made durable at once; fewer wait for more, {@link FLUSH_PAUSE_MS} at most. Default 1 MiB. */
  readonly flushBytes: number;
  /** How long a new channel may be silent. Default 10 s. */
  readonly openTimeoutMs: number;
  /** First and longest pause before a broken channel is opened again. Default 250 ms and 15 s. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** For how long the other side is told of a stream that was given up here. Default 60 s. */
  readonly farewellMs: number;
}

const DEFAULTS: StreamOptions = {
  windowBytes: 8 * MIB,
  maxChunkBytes: 4 * MIB,
  maxOpenPerTask: 16,
  maxOpenPerPeer: 64,
  maxArtifactsPerTask: 256,
  maxSubscribersPerTask: 32,
  maxCollectedBytes: 8 * MIB,
  maxInlineBytes: MIB,
  flushBytes: MIB,
  openTimeoutMs: 10_000,
  retryMinMs: 250,
  retryMaxMs: 15_000,
  farewellMs: 60_000,
};

/** `options` in full. Throws RangeError for one that is out of range. */
export function resolveStreamOptions(options: Partial<StreamOptions>): StreamOptions {
  const full = { ...DEFAULTS, ...options };
  for (const [name, value] of Object.entries(full)) {
    if (!isIntegerWithin(value, 1, 2 ** 40)) {
      throw new RangeError(`${name} must be a positive integer, got ${value}`);
    }
  }
  if (full.maxChunkBytes > full.windowBytes) {
    throw new RangeError(`maxChunkBytes ${full.maxChunkBytes} exceeds windowBytes ${full.windowBytes}`);
  }
  return full;
}
