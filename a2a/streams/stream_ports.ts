import type { ErrorCode } from "../../core/errors.ts";
import type { Task } from "../model.ts";
import type { StreamEnd, StreamStart } from "./stream_event.ts";

/** What the streams need to know of tasks. */
export interface TaskView {
  load(taskId: string): Promise<Task | undefined>;
  /** Resolves when the task has ended; rejects when it is not there or `signal` fires. */
  onEnded(taskId: string, signal: AbortSignal): Promise<Task>;
}

/** From the sender of an artifact to its receiver. */
export type SenderMessage =
  | { readonly type: "open"; readonly start: StreamStart; readonly streamId: string }
  | {
    readonly type: "chunk";
    readonly sequence: number;
    readonly data: Uint8Array;
    readonly isLast: boolean;
  }
  | {
    readonly type: "end";
    readonly end: Pick<StreamEnd, "reason" | "sha256" | "totalBytes" | "errorMessage">;
  };

/** From the receiver of an artifact to its sender. */
export type ReceiverMessage =
  /** The chunk to go on with, and the bytes that may be under way. */
  | { readonly type: "accepted"; readonly nextSequence: number; readonly windowBytes: number }
  /** All chunks before it are on disk. */
  | { readonly type: "acknowledged"; readonly nextSequence: number }
  /** The end was taken. */
  | { readonly type: "done" }
  | { readonly type: "refused"; readonly code: ErrorCode; readonly message: string };

/** One end of the way of one artifact: `O` goes out, `I` comes in. */
export interface ArtifactChannel<O, I> {
  readonly peerId: string;
  /** Resolves when the way takes more. Throws `unavailable` and its kin when it broke. */
  send(message: O, options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Messages of the other side, for one reader; while nobody pulls, the other side stops. Throws `unavailable` and its kin when
   * the way broke, `invalid_argument` for what is no message.
   */
  messages(): AsyncIterable<I>;
  /** Ends our side after what was sent. */
  close(): Promise<void>;
  abort(reason: Error): void;
}

export type SenderChannel = ArtifactChannel<SenderMessage, ReceiverMessage>;
export type ReceiverChannel = ArtifactChannel<ReceiverMessage, SenderMessage>;

/** The way to other nodes. */
export interface ArtifactLink {
  /** Throws `unimplemented` when the peer takes no streams, `unavailable` and its kin when it cannot be reached. */
  open(peerId: string, options: { signal: AbortSignal }): Promise<SenderChannel>;
}

/** A chunk as it lies on disk. */
export interface SpoolChunk {
  readonly data: Uint8Array;
  readonly isLast: boolean;
}

/** So many chunks, which have so many bytes. */
export interface SpoolPosition {
  readonly chunks: number;
  readonly bytes: number;
}

/** Reads the chunks of a spool in order, each once. */
export interface SpoolReader {
  /** The next chunk, of those that were durable when this was called; undefined behind the last of them. */
  next(): Promise<SpoolChunk | undefined>;
  close(): void;
}

/** An artifact on disk. */
export interface SpoolFile {
  readonly start: StreamStart;
  readonly streamId: string;
  /** Set once it is sealed. */
  readonly sha256: Uint8Array | undefined;
  /** Chunks that are on disk for good. */
  readonly chunks: number;
  /** Bytes of these chunks. */
  readonly bytes: number;
  /** Absolute path of the file that holds the bytes. */
  readonly path: string;
  /** Writes chunks, which must not change until then. Throws `resource_exhausted` or `unavailable`; the file is then of no use. */
  append(chunks: readonly SpoolChunk[]): Promise<void>;
  /** Makes what was appended before this call durable. Throws as {@link append}. */
  flush(): Promise<void>;
  /** Marks it as whole, durably; nothing is appended any more. */
  seal(sha256: Uint8Array): Promise<void>;
  /** Reads it from its beginning, or from the chunk behind `from`. */
  read(from?: SpoolPosition): Promise<SpoolReader>;
  /** Closes what is open for writing. */
  close(): void;
  /** Closes it and removes it from the disk. */
  remove(): Promise<void>;
}

/** Artifacts on disk, by task. */
export interface ArtifactSpool {
  /** An empty one; one of the same task and artifact is removed. Throws `resource_exhausted` or `unavailable`. */
  create(start: StreamStart, streamId: string): Promise<SpoolFile>;
  /** Whether there may be anything of a task, without looking on disk. */
  has(taskId: string): boolean;
  /** What an earlier run, or this one, has left of a task; each truncated to its last whole durable chunk. */
  load(taskId: string): Promise<readonly SpoolFile[]>;
  removeTask(taskId: string): Promise<void>;
}
