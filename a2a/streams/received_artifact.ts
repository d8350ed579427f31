import { createHash, type Hash } from "node:crypto";
import { type Clock, startTimer } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import { checkWhole } from "./artifact_sender.ts";
import { type RecentBytes, RecentChunks } from "./recent_chunks.ts";
import { checkChunkBytes, checkSequence } from "./stream_checks.ts";
import type { StreamEnd, StreamEndReason, StreamStart } from "./stream_event.ts";
import { CHUNK_COST_BYTES, FLUSH_PAUSE_MS, type StreamOptions } from "./stream_options.ts";
import type { SenderMessage, SpoolChunk, SpoolFile, SpoolPosition } from "./stream_ports.ts";

/** Bytes that wait for the disk while more is read. */
const MAX_QUEUED_BYTES = 2 * 1024 * 1024;

type EndMessage = Extract<SenderMessage, { type: "end" }>["end"];

/** How far a live reader of an artifact is. */
export interface ReadPosition {
  chunks: number;
  bytes: number;
}

/** What an artifact that comes works with. */
export interface ReceivedArtifactDeps {
  options: StreamOptions;
  clock: Clock;
  /** Counts what this and other artifacts keep for those who read along. */
  recent: RecentBytes;
  /** Called when there is more to read, to acknowledge, or nothing more to come. */
  onChange: () => void;
}

/** An artifact that comes from a peer: what is on disk, who reads it, how it ended. It knows no channels. */
export class ReceivedArtifact {
  readonly file: SpoolFile;
  readonly #options: StreamOptions;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #recent: RecentChunks;
  readonly #positions = new Set<ReadPosition>();
  readonly #stop = new AbortController();
  /** Durable, and not acknowledged yet. */
  #marks: SpoolPosition[] = [];
  #acknowledged: SpoolPosition;
  #received: SpoolPosition;
  #hash: Hash | undefined;
  #queue: SpoolChunk[] = [];
  #queuedBytes = 0;
  /** What was handed to the file. */
  #written: SpoolPosition;
  #writing: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  /** Ends the pause before the next flush. */
  #flushNow: (() => void) | undefined;
  /** Whether somebody waits for all to be durable. */
  #isSettling = false;
  #end: StreamEnd | undefined;

  constructor(file: SpoolFile, { options, clock, recent, onChange }: ReceivedArtifactDeps) {
    this.file = file;
    this.#options = options;
    this.#clock = clock;
    this.#recent = new RecentChunks(recent);
    this.#onChange = onChange;
    this.#received = this.#acknowledged = this.#written = { chunks: file.chunks, bytes: file.bytes };
    if (file.chunks === 0) this.#hash = createHash("sha256");
    if (file.sha256 !== undefined) {
      this.#end = this.#toEnd("complete", { sha256: file.sha256, totalBytes: file.bytes });
    }
  }

  get start(): StreamStart {
    return this.file.start;
  }

  /** How it ended; undefined while it is open. */
  get end(): StreamEnd | undefined {
    return this.#end;
  }

  /** Fires with the reason when no more of it is taken: it was given up, removed or closed, or the disk failed. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** The chunk that comes next. */
  get nextSequence(): number {
    return this.#received.chunks;
  }

  /** The first chunk that its sender has to keep: what is before it is on disk, and near enough to the slowest reader. */
  get acknowledged(): number {
    const slowest = Math.min(...[...this.#positions].map(({ bytes }) => bytes));
    while (this.#marks[0] !== undefined && this.#marks[0].bytes <= slowest + this.#options.windowBytes) {
      this.#acknowledged = this.#marks.shift() ?? this.#acknowledged;
    }
    return this.#acknowledged.chunks;
  }

  /** Gets ready to take more: what an earlier run left is read again for its hash. */
  async prepare(): Promise<void> {
    if (this.#hash !== undefined) return;
    const hash = createHash("sha256");
    const reader = await this.file.read();
    try {
      for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
        hash.update(chunk.data);
      }
    } finally {
      reader.close();
    }
    this.#hash = hash;
  }

  /** Takes the next chunk. Throws `out_of_range`, `resource_exhausted`, `unavailable`, or why it is stopped. */
  async append({ sequence, data, isLast }: Extract<SenderMessage, { type: "chunk" }>): Promise<void> {
    this.#checkOpen();
    checkSequence(sequence, this.#received.chunks);
    checkChunkBytes(data, this.#options.maxChunkBytes);
    const received = { chunks: this.#received.chunks + 1, bytes: this.#received.bytes + data.length };
    this.#checkWindow(received);
    if (this.#hash === undefined) throw new TypeError("prepare() comes before append()");
    this.#hash.update(data);
    this.#received = received;
    this.#queue.push({ data, isLast });
    this.#queuedBytes += data.length;
    this.#writing ??= this.#write();
    // Reading goes on while the disk writes, up to a bound.
    if (this.#queuedBytes > MAX_QUEUED_BYTES) await this.#writing;
  }

  /** Takes its end. Throws `data_loss` when what arrived is not what was sent. */
  async finish(end: EndMessage): Promise<void> {
    if (this.#end?.reason === "complete" && end.reason === "complete") {
      return checkWhole({ sha256: this.#end.sha256, bytes: this.#end.totalBytes }, {
        start: this.start,
        end,
      });
    }
    if (end.reason !== "complete") {
      return await this.giveUp(new CodedError("cancelled", end.errorMessage), end.reason);
    }
    this.#checkOpen();
    await this.#settled();
    this.#checkOpen();
    if (this.#hash === undefined) throw new TypeError("prepare() comes before finish()");
    const sha256 = new Uint8Array(this.#hash.digest());
    const bytes = this.#received.bytes;
    checkWhole({ sha256, bytes }, { start: this.start, end });
    await this.file.seal(sha256);
    this.#end = this.#toEnd("complete", { sha256, totalBytes: bytes });
    this.#onChange();
  }

  /** Ends it as a part and removes it from the disk, unless it has ended. */
  async giveUp(error: CodedError, reason: StreamEndReason = "error"): Promise<void> {
    if (this.#end !== undefined) return;
    this.#end = this.#toEnd(reason, { errorMessage: error.message });
    await this.discard(error);
  }

  /** Removes it from the disk; its channel ends with `error`. */
  async discard(error: CodedError): Promise<void> {
    this.#stop.abort(error);
    this.#onChange();
    await this.#settled();
    this.#recent.clear();
    await this.file.remove();
  }

  /** Closes what is open for writing; it can be opened again from the disk. */
  async close(error: CodedError): Promise<void> {
    this.#stop.abort(error);
    await this.#settled();
    this.#recent.clear();
    this.file.close();
  }

  /** Counts a live reader, whom the sender does not outrun; disposed when it leaves. */
  follow(): Disposable & { position: ReadPosition } {
    const position: ReadPosition = { chunks: 0, bytes: 0 };
    this.#positions.add(position);
    const leave = () => {
      this.#positions.delete(position);
      this.#forgetRead();
      this.#onChange();
    };
    return { position, [Symbol.dispose]: leave };
  }

  /** The chunk `sequence`, when it is on disk and still in memory. */
  recent(sequence: number): SpoolChunk | undefined {
    return sequence < this.file.chunks ? this.#recent.get(sequence) : undefined;
  }

  /** A reader has moved: more may be acknowledged. */
  moved(): void {
    this.#forgetRead();
    if (this.#marks.length > 0) this.#onChange();
  }

  /** Nobody asks again for what all have read. */
  #forgetRead(): void {
    let slowest = Infinity;
    for (const { chunks } of this.#positions) slowest = Math.min(slowest, chunks);
    this.#recent.dropBefore(slowest);
  }

  async #settled(): Promise<void> {
    this.#isSettling = true;
    this.#flushNow?.();
    await this.#writing;
    await this.#flushing;
  }

  /** One write at a time; what arrives meanwhile is in the next. */
  async #write(): Promise<void> {
    await Promise.resolve(); // What has arrived already is in the first write.
    try {
      while (this.#queue.length > 0) {
        const chunks = this.#queue;
        const bytes = this.#queuedBytes;
        this.#queue = [];
        this.#queuedBytes = 0;
        await this.file.append(chunks);
        const { chunks: before, bytes: bytesBefore } = this.#written;
        this.#written = { chunks: before + chunks.length, bytes: bytesBefore + bytes };
        if (this.#positions.size > 0) chunks.forEach((chunk, at) => this.#recent.add(before + at, chunk));
        if (this.#isFlushDue) this.#flushNow?.();
        this.#flushing ??= this.#flush();
      }
    } catch (error) {
      this.#stop.abort(toCodedError(error));
    } finally {
      this.#writing = undefined;
    }
  }

  get #isFlushDue(): boolean {
    return this.#isSettling || costOf(this.#written) - costOf(this.file) >= this.#options.flushBytes;
  }

  /** One flush at a time; what is written meanwhile, and in the pause behind it, is in the next. */
  async #flush(): Promise<void> {
    try {
      while (this.file.chunks < this.#written.chunks) {
        await this.file.flush();
        this.#marks.push({ chunks: this.file.chunks, bytes: this.file.bytes });
        this.#onChange();
        if (!this.#isFlushDue) await this.#pause();
      }
    } catch (error) {
      this.#stop.abort(toCodedError(error));
    } finally {
      this.#flushing = undefined;
    }
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = startTimer(this.#clock, FLUSH_PAUSE_MS, resolve);
    this.#flushNow = resolve;
    await promise;
    this.#flushNow = undefined;
  }

  #checkOpen(): void {
    this.#stop.signal.throwIfAborted();
    if (this.#end === undefined) return;
    throw new CodedError(
      "failed_precondition",
      `Cannot take more of the artifact: it has ended as ${this.#end.reason}`,
    );
  }

  #checkWindow(received: SpoolPosition): void {
    const open = costOf(received) - costOf(this.#acknowledged);
    const { windowBytes, maxChunkBytes } = this.#options;
    if (open <= windowBytes + maxChunkBytes + CHUNK_COST_BYTES) return;
    throw new CodedError(
      "resource_exhausted",
      `Cannot take more of the artifact: ${open} bytes are not acknowledged, the window has ${windowBytes}`,
    );
  }

  #toEnd(
    reason: StreamEndReason,
    facts: Partial<Pick<StreamEnd, "sha256" | "totalBytes" | "errorMessage">>,
  ): StreamEnd {
    const { taskId, artifactId } = this.start;
    const nothing = { sha256: new Uint8Array(), totalBytes: 0, errorMessage: "" };
    return { kind: "end", taskId, artifactId, reason, ...nothing, ...facts };
  }
}

function costOf({ chunks, bytes }: SpoolPosition): number {
  return bytes + chunks * CHUNK_COST_BYTES;
}
