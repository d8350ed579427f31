import { CHUNK_COST_BYTES } from "./stream_options.ts";
import type { SpoolChunk } from "./stream_ports.ts";

/** Bytes of the chunks that one artifact keeps: who is further behind reads from the disk. */
const MAX_ARTIFACT_BYTES = 2 * 1024 * 1024;

/** Counts what all artifacts keep. */
export class RecentBytes {
  used = 0;

  /** @param max most that is kept. Default 16 MiB. */
  constructor(readonly max: number = 16 * 1024 * 1024) {}
}

/** The latest chunks of an artifact, for those who read along: they need not be fetched from the disk, where they are as well. */
export class RecentChunks {
  readonly #total: RecentBytes;
  /** By sequence, without gaps. */
  readonly #chunks = new Map<number, SpoolChunk>();
  #bytes = 0;

  constructor(total: RecentBytes) {
    this.#total = total;
  }

  /** Keeps the chunk `sequence`, in place of the oldest where there is no room. */
  add(sequence: number, chunk: SpoolChunk): void {
    if (!this.#chunks.has(sequence - 1)) this.clear();
    this.#chunks.set(sequence, chunk);
    this.#count(costOf(chunk));
    for (const oldest of this.#chunks.keys()) {
      if (this.#bytes <= MAX_ARTIFACT_BYTES && this.#total.used <= this.#total.max) break;
      this.#drop(oldest);
    }
  }

  get(sequence: number): SpoolChunk | undefined {
    return this.#chunks.get(sequence);
  }

  /** Forgets the chunks before `sequence`. */
  dropBefore(sequence: number): void {
    for (const oldest of this.#chunks.keys()) {
      if (oldest >= sequence) break;
      this.#drop(oldest);
    }
  }

  clear(): void {
    this.dropBefore(Infinity);
  }

  #drop(sequence: number): void {
    const chunk = this.#chunks.get(sequence);
    if (chunk !== undefined && this.#chunks.delete(sequence)) this.#count(-costOf(chunk));
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#total.used += bytes;
  }
}

function costOf({ data }: SpoolChunk): number {
  return data.length + CHUNK_COST_BYTES;
}
