import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  NodeService,
  type SendStreamingArtifactRequestSchema,
} from "../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../gen/agentanycast/v1/streaming_pb.ts";
import { abortable } from "../core/abortable.ts";
import { errorMessage } from "../core/errors.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { TaskStreamError, toAgentAnycastError } from "./errors.ts";

/** Bytes of one chunk at most: few enough for a reader to see progress, many enough not to cost much. */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** How long a receiver that takes nothing may keep the word that the artifact is called off. */
const FAREWELL_MS = 500;

/** A result that is sent piece by piece. */
export interface ArtifactInput {
  /** What it consists of; a text is sent as UTF-8. An iterable or stream is read as the receiver takes it. */
  data: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> | Uint8Array | string;
  /** For people, or the name of a file. */
  name?: string;
  /** Such as `text/csv`. Default: `text/plain` for a text, else none. */
  mediaType?: string;
  /** Unique within the task; the same again replaces what has come of it. Default: a new one. */
  artifactId?: string;
  /** Bytes in all, when known: the receiver can show how far it is. Default: that of a text or of bytes. */
  totalBytes?: number;
  /** Free facts about it. */
  metadata?: Readonly<Record<string, string>>;
  /** Stops the sending; the receiver is told that it was called off. */
  signal?: AbortSignal;
}

/** What was sent; it becomes part of the completed task. */
export interface SentArtifact {
  /** Names it within the task. */
  readonly artifactId: string;
  /** Bytes in all. */
  readonly totalBytes: number;
  /** SHA-256 of all bytes, in hex. */
  readonly sha256: string;
}

type Request = MessageInitShape<typeof SendStreamingArtifactRequestSchema>;

/**
 * Sends `artifact` as a result of a task; see `IncomingTask.sendArtifact`. @param options.signal stops it together with the
 * artifact's own.
 */
export async function sendArtifact(
  daemon: DaemonClient,
  artifact: ArtifactInput,
  { taskId, signal }: { taskId: string; signal: AbortSignal },
): Promise<SentArtifact> {
  const sending = new Sending(taskId, artifact);
  const call = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => timer = setTimeout(() => call.abort(), FAREWELL_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await daemon.upload(
      NodeService.method.sendStreamingArtifact,
      sending.requests({ signal, over: call.signal }),
      call.signal,
    );
  } catch (error) {
    const { code, message } = toAgentAnycastError(error);
    throw sending.failure ?? new TaskStreamError(code, message, { cause: error });
  } finally {
    signal.removeEventListener("abort", stop);
    clearTimeout(timer);
    call.abort();
  }
  if (sending.failure !== undefined) throw sending.failure;
  if (!sending.isWhole) throw new TaskStreamError("aborted", "The daemon took no more of the artifact");
  return sending.sent;
}

/** One artifact on its way. */
class Sending {
  /** Why the data ended before its end. */
  failure: unknown;
  readonly #taskId: string;
  readonly #artifactId: string;
  readonly #artifact: ArtifactInput;
  readonly #hash = createHash("sha256");
  #totalBytes = 0;
  #digest = new Uint8Array();

  constructor(taskId: string, artifact: ArtifactInput) {
    this.#taskId = taskId;
    this.#artifact = artifact;
    this.#artifactId = artifact.artifactId ?? crypto.randomUUID();
  }

  /** Whether all of the data was sent. */
  get isWhole(): boolean {
    return this.#digest.length > 0;
  }

  get sent(): SentArtifact {
    const sha256 = Array.from(this.#digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { artifactId: this.#artifactId, totalBytes: this.#totalBytes, sha256 };
  }

  /**
   * A start, the chunks and an end, which says so when the data could not be read or `signal` fired; leaves the data when `over`
   * fires.
   */
  async *requests({ signal, over }: { signal: AbortSignal; over: AbortSignal }): AsyncGenerator<Request> {
    const ids = { taskId: this.#taskId, artifactId: this.#artifactId };
    const { data, name = "", mediaType = typeof data === "string" ? "text/plain" : "", metadata } =
      this.#artifact;
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const totalBytes = this.#artifact.totalBytes ?? (bytes instanceof Uint8Array ? bytes.length : 0);
    const start = { ...ids, artifactName: name, mediaType, metadata: { ...metadata } };
    yield { event: { case: "streamStart", value: { ...start, totalBytes: BigInt(totalBytes) } } };
    try {
      let sequence = 0;
      for await (const chunk of chunksOf(bytes, AbortSignal.any([signal, over]))) {
        this.#hash.update(chunk);
        this.#totalBytes += chunk.length;
        yield { event: { case: "streamChunk", value: { ...ids, sequence: sequence++, data: chunk } } };
      }
      this.#digest = new Uint8Array(this.#hash.digest());
    } catch (error) {
      if (over.aborted) return;
      this.failure = signal.aborted
        ? new TaskStreamError("cancelled", "The artifact was called off", { cause: signal.reason })
        : error;
      const reason = signal.aborted ? StreamEndReason.CANCELED : StreamEndReason.ERROR;
      yield { event: { case: "streamEnd", value: { ...ids, reason, errorMessage: errorMessage(error) } } };
      return;
    }
    const whole = { sha256: this.#digest, totalBytes: BigInt(this.#totalBytes) };
    const reason = StreamEndReason.COMPLETE;
    yield { event: { case: "streamEnd", value: { ...ids, reason, ...whole } } };
  }
}

/** The data in pieces that are not too long, as they come. Throws the reason of `signal`, also while the data lets wait. */
async function* chunksOf(
  data: Exclude<ArtifactInput["data"], string>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = data instanceof Uint8Array ? [data] : interruptible(iterate(data), signal);
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += MAX_CHUNK_BYTES) {
      signal.throwIfAborted();
      yield piece.subarray(at, at + MAX_CHUNK_BYTES);
    }
  }
}

/** `source`, left when `signal` fires also while its next item lets wait. */
async function* interruptible<T>(source: AsyncIterator<T>, signal: AbortSignal): AsyncGenerator<T> {
  let over = false;
  try {
    while (true) {
      const next = await abortable(source.next(), signal);
      over = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    over ||= !signal.aborted; // what threw has ended by itself
    throw error;
  } finally {
    // Not waited for: return() of a generator lasts as long as what it is awaiting.
    if (!over) source.return?.().catch(() => {/* nobody asks any more */});
  }
}

/** Streams by their reader: their own iterators cannot be left while a read is pending. */
function iterate(data: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>): AsyncIterator<Uint8Array> {
  if (!("getReader" in data)) return data[Symbol.asyncIterator]();
  const reader = data.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done: false, value };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
