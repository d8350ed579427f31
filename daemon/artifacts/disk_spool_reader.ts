import type { SpoolChunk, SpoolPosition, SpoolReader } from "../../a2a/mod.ts";
import { decodeEntries, ENTRY_BYTES, type IndexEntry } from "./chunk_index.ts";
import { toDiskError } from "./disk_error.ts";

/** Entries of the index that are read at once. */
const PAGE_ENTRIES = 4096;

/** Reads an artifact from its files, also while they grow. */
export class DiskSpoolReader implements SpoolReader {
  readonly #data: Deno.FsFile;
  readonly #index: Deno.FsFile;
  readonly #durableChunks: () => number;
  /** Entries whose chunks were not read yet. */
  #entries: IndexEntry[] = [];
  #nextEntry = 0;
  #read = 0;
  #reading = false;
  #closed = false;

  private constructor(
    files: { data: Deno.FsFile; index: Deno.FsFile },
    { durableChunks }: { durableChunks: () => number },
  ) {
    this.#data = files.data;
    this.#index = files.index;
    this.#durableChunks = durableChunks;
  }

  /** @param options.durableChunks how many chunks may be read now. */
  static async open(
    paths: { data: string; index: string },
    { from, ...options }: { durableChunks: () => number; from?: SpoolPosition | undefined },
  ): Promise<DiskSpoolReader> {
    const data = await Deno.open(paths.data);
    try {
      const reader = new DiskSpoolReader({ data, index: await Deno.open(paths.index) }, options);
      if (from !== undefined) await reader.#skip(from);
      return reader;
    } catch (error) {
      data.close();
      throw error;
    }
  }

  async next(): Promise<SpoolChunk | undefined> {
    if (this.#closed) return undefined;
    this.#reading = true;
    try {
      return await this.#next();
    } catch (error) {
      throw toDiskError(error);
    } finally {
      this.#reading = false;
      if (this.#closed) this.#closeFiles();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#reading) this.#closeFiles();
  }

  async #skip({ chunks, bytes }: SpoolPosition): Promise<void> {
    if (chunks === 0) return;
    try {
      await this.#data.seek(bytes, Deno.SeekMode.Start);
      await this.#index.seek(chunks * ENTRY_BYTES, Deno.SeekMode.Start);
      this.#read = chunks;
    } catch (error) {
      this.#index.close();
      throw error;
    }
  }

  async #next(): Promise<SpoolChunk | undefined> {
    if (this.#nextEntry === this.#entries.length) await this.#readPage();
    const entry = this.#entries[this.#nextEntry];
    if (entry === undefined) return undefined;
    const data = new Uint8Array(entry.length);
    await readFull(this.#data, data);
    this.#nextEntry++;
    this.#read++;
    return { data, isLast: entry.isLast };
  }

  async #readPage(): Promise<void> {
    const wanted = Math.min(PAGE_ENTRIES, this.#durableChunks() - this.#read);
    this.#entries = [];
    this.#nextEntry = 0;
    if (wanted <= 0) return;
    const page = new Uint8Array(wanted * ENTRY_BYTES);
    await readFull(this.#index, page);
    this.#entries = decodeEntries(page);
    if (this.#entries.length < wanted) throw new Error("The index of an artifact is shorter than it was");
  }

  #closeFiles(): void {
    this.#data.close();
    this.#index.close();
  }
}

async function readFull(file: Deno.FsFile, target: Uint8Array): Promise<void> {
  for (let at = 0; at < target.length;) {
    const count = await file.read(at === 0 ? target : target.subarray(at));
    if (count === null) throw new Error("The file of an artifact is shorter than it was");
    at += count;
  }
}
