import { Buffer } from "node:buffer";
import type { SpoolChunk, SpoolFile, SpoolPosition, SpoolReader, StreamStart } from "../../a2a/mod.ts";
import { encodeEntries, ENTRY_BYTES, type IndexEntry } from "./chunk_index.ts";
import { toDiskError } from "./disk_error.ts";
import { DiskSpoolReader } from "./disk_spool_reader.ts";
import { type Sidecar, writeSidecar } from "./sidecar.ts";
import type { SpoolRoom } from "./spool_room.ts";

/** The three files of an artifact: its bytes, where its chunks end, and what it is. */
export interface SpoolPaths {
  readonly data: string;
  readonly index: string;
  readonly sidecar: string;
}

/** From here on a chunk is written by itself: copying it would cost more than the write. */
const LONG_CHUNK_BYTES = 128 * 1024;

/** How far an artifact has come. */
export interface SpoolLength {
  readonly chunks: number;
  readonly bytes: number;
}

interface Writers {
  readonly data: Deno.FsFile;
  readonly index: Deno.FsFile;
  /** The data once more: operations on one handle wait for each other, and a flush is not to stop the writing. */
  readonly sync: Deno.FsFile;
}

/** An artifact in a folder. Its bytes are durable before its index says so. */
export class DiskSpoolFile implements SpoolFile {
  readonly start: StreamStart;
  readonly streamId: string;
  readonly #paths: SpoolPaths;
  readonly #room: SpoolRoom;
  readonly #onClosed: () => void;
  #sha256: Uint8Array | undefined;
  #durable: SpoolLength;
  #written: SpoolLength;
  #pending: IndexEntry[] = [];
  #writers: Writers | undefined;
  #removed: Promise<void> | undefined;

  /** @param length what is on disk, which `room` has counted. */
  constructor(
    { streamId, start, sealed }: Sidecar,
    { paths, room, length, onClosed }: {
      paths: SpoolPaths;
      room: SpoolRoom;
      length: SpoolLength;
      onClosed: () => void;
    },
  ) {
    this.start = start;
    this.streamId = streamId;
    this.#paths = paths;
    this.#room = room;
    this.#onClosed = onClosed;
    this.#durable = this.#written = length;
    this.#sha256 = sealed && new Uint8Array(Buffer.from(sealed.sha256, "hex"));
  }

  get sha256(): Uint8Array | undefined {
    return this.#sha256;
  }

  get chunks(): number {
    return this.#durable.chunks;
  }

  get bytes(): number {
    return this.#durable.bytes;
  }

  get path(): string {
    return this.#paths.data;
  }

  async append(chunks: readonly SpoolChunk[]): Promise<void> {
    const bytes = chunks.reduce((sum, { data }) => sum + data.length, 0);
    const more = bytes + chunks.length * ENTRY_BYTES;
    this.#room.take(more, { artifactBytes: diskBytes(this.#written) });
    this.#written = { chunks: this.#written.chunks + chunks.length, bytes: this.#written.bytes + bytes };
    try {
      const { data: file } = this.#writers ??= await openWriters(this.#paths);
      for (const piece of piecesOf(chunks)) {
        for (let at = 0; at < piece.length;) at += await file.write(at === 0 ? piece : piece.subarray(at));
      }
      for (const { data, isLast } of chunks) this.#pending.push({ length: data.length, isLast });
    } catch (error) {
      throw toDiskError(error);
    }
  }

  async flush(): Promise<void> {
    const entries = this.#pending;
    if (this.#writers === undefined || entries.length === 0) return;
    this.#pending = [];
    try {
      await this.#writers.sync.syncData();
      const bytes = encodeEntries(entries);
      for (let at = 0; at < bytes.length;) at += await this.#writers.index.write(bytes.subarray(at));
      await this.#writers.index.syncData();
    } catch (error) {
      throw toDiskError(error);
    }
    this.#durable = {
      chunks: this.#durable.chunks + entries.length,
      bytes: entries.reduce((sum, { length }) => sum + length, this.#durable.bytes),
    };
  }

  async seal(sha256: Uint8Array): Promise<void> {
    const { streamId, start } = this;
    const sealed = { sha256: Buffer.from(sha256).toString("hex"), ...this.#durable };
    try {
      this.#writers ??= await openWriters(this.#paths); // An empty artifact is a file, too.
      await writeSidecar(this.#paths.sidecar, { streamId, start, sealed });
    } catch (error) {
      throw toDiskError(error);
    }
    this.#closeWriters();
    this.#sha256 = sha256;
  }

  async read(from?: SpoolPosition): Promise<SpoolReader> {
    return await DiskSpoolReader.open(this.#paths, { from, durableChunks: () => this.chunks });
  }

  close(): void {
    this.#closeWriters();
    this.#onClosed();
  }

  #closeWriters(): void {
    const writers = this.#writers;
    this.#writers = undefined;
    for (const file of [writers?.data, writers?.index, writers?.sync]) file?.close();
  }

  remove(): Promise<void> {
    return this.#removed ??= this.#remove();
  }

  async #remove(): Promise<void> {
    this.close();
    // The sidecar first: without it the others are nobody's.
    for (const path of [this.#paths.sidecar, this.#paths.index, this.#paths.data]) {
      try {
        await Deno.remove(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw toDiskError(error);
      }
    }
    this.#room.release(diskBytes(this.#written));
  }
}

/** The bytes in as few writes as are worth the copying: short chunks together, long ones as they are. */
function* piecesOf(chunks: readonly SpoolChunk[]): Generator<Uint8Array> {
  let short: Uint8Array[] = [];
  let shortBytes = 0;
  for (const { data } of chunks) {
    if (data.length < LONG_CHUNK_BYTES) {
      short.push(data);
      shortBytes += data.length;
      if (shortBytes < LONG_CHUNK_BYTES) continue;
    }
    if (short.length > 0) yield joined(short, shortBytes);
    [short, shortBytes] = [[], 0];
    if (data.length >= LONG_CHUNK_BYTES) yield data;
  }
  if (short.length > 0) yield joined(short, shortBytes);
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Bytes that an artifact takes on disk. */
export function diskBytes({ chunks, bytes }: SpoolLength): number {
  return bytes + chunks * ENTRY_BYTES;
}

async function openWriters(paths: SpoolPaths): Promise<Writers> {
  const options = { append: true, create: true, mode: 0o600 };
  const opened: Deno.FsFile[] = [];
  const open = async (path: string) => {
    const file = await Deno.open(path, options);
    opened.push(file);
    return file;
  };
  try {
    return { data: await open(paths.data), index: await open(paths.index), sync: await open(paths.data) };
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
}
