import type {
  ArtifactSpool,
  SpoolChunk,
  SpoolFile,
  SpoolPosition,
  SpoolReader,
  StreamStart,
} from "../../a2a/mod.ts";

/** Artifacts in memory. */
export class MemorySpool implements ArtifactSpool {
  readonly #files = new Map<string, MemorySpoolFile>();

  create(start: StreamStart, streamId: string): Promise<SpoolFile> {
    const file = new MemorySpoolFile({ start, streamId, chunks: [], onRemove: () => this.#remove(file) });
    this.#files.set(keyOf(start), file);
    return Promise.resolve(file);
  }

  has(taskId: string): boolean {
    return this.#filesOf(taskId).length > 0;
  }

  load(taskId: string): Promise<readonly SpoolFile[]> {
    return Promise.resolve(this.#filesOf(taskId));
  }

  removeTask(taskId: string): Promise<void> {
    for (const file of this.#filesOf(taskId)) this.#remove(file);
    return Promise.resolve();
  }

  /** What of them is there after the process has ended. */
  reopened(): MemorySpool {
    const spool = new MemorySpool();
    for (const [key, { start, streamId, durable, sha256 }] of this.#files) {
      const file: MemorySpoolFile = new MemorySpoolFile({
        ...{ start, streamId, chunks: durable, sha256 },
        onRemove: () => spool.#remove(file),
      });
      spool.#files.set(key, file);
    }
    return spool;
  }

  #filesOf(taskId: string): MemorySpoolFile[] {
    return [...this.#files.values()].filter(({ start }) => start.taskId === taskId);
  }

  #remove(file: MemorySpoolFile): void {
    if (this.#files.get(keyOf(file.start)) === file) this.#files.delete(keyOf(file.start));
  }
}

function keyOf({ taskId, artifactId }: StreamStart): string {
  return JSON.stringify([taskId, artifactId]);
}

interface MemoryFileParts {
  readonly start: StreamStart;
  readonly streamId: string;
  readonly chunks: readonly SpoolChunk[];
  readonly sha256?: Uint8Array | undefined;
  readonly onRemove: () => void;
}

class MemorySpoolFile implements SpoolFile {
  readonly start: StreamStart;
  readonly streamId: string;
  /** There is none; it stands where one of a disk would. */
  readonly path: string;
  sha256: Uint8Array | undefined;
  readonly #chunks: SpoolChunk[];
  readonly #onRemove: () => void;
  #durable: number;
  #bytes: number;

  constructor({ start, streamId, chunks, sha256, onRemove }: MemoryFileParts) {
    this.start = start;
    this.streamId = streamId;
    this.path = `/memory/${start.artifactId}`;
    this.sha256 = sha256;
    this.#chunks = [...chunks];
    this.#durable = chunks.length;
    this.#bytes = bytesOf(chunks);
    this.#onRemove = onRemove;
  }

  get chunks(): number {
    return this.#durable;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The chunks that outlast the process. */
  get durable(): readonly SpoolChunk[] {
    return this.#chunks.slice(0, this.#durable);
  }

  append(chunks: readonly SpoolChunk[]): Promise<void> {
    this.#chunks.push(...chunks.map(({ data, isLast }) => ({ data: new Uint8Array(data), isLast })));
    return Promise.resolve();
  }

  flush(): Promise<void> {
    this.#bytes += bytesOf(this.#chunks.slice(this.#durable));
    this.#durable = this.#chunks.length;
    return Promise.resolve();
  }

  seal(sha256: Uint8Array): Promise<void> {
    this.sha256 = sha256;
    return Promise.resolve();
  }

  read({ chunks }: SpoolPosition = { chunks: 0, bytes: 0 }): Promise<SpoolReader> {
    let next = chunks;
    return Promise.resolve({
      next: () => Promise.resolve(next < this.#durable ? this.#chunks[next++] : undefined),
      close: () => {},
    });
  }

  close(): void {}

  remove(): Promise<void> {
    this.#onRemove();
    return Promise.resolve();
  }
}

function bytesOf(chunks: readonly SpoolChunk[]): number {
  return chunks.reduce((sum, { data }) => sum + data.length, 0);
}
