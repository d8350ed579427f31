import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  NodeService,
  type SendStreamingArtifactRequestSchema,
} from "../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../gen/agentanycast/v1/streaming_pb.ts";
import { abortable } from "../core/abortable.ts";
import { errorMessage, toCodedError } from "../core/errors.ts";
import { ConnectionLostError } from "../rpc/http2_connection.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { TaskStreamError, toAgentAnycastError } from "./errors.ts";
import { isTerminal } from "./model.ts";
import { type OptionNames, refuseUnknown } from "./option_names.ts";
import { Outage } from "./outage.ts";

/** Bytes of one chunk at most: few enough for a reader to see progress, many enough not to cost much. */
const MAX_CHUNK_BYTES = 256 * 1024;

/** Shorter pieces are joined up to this. */
const JOINED_BYTES = 32 * 1024;

/** How long a receiver that takes nothing may keep the word that the artifact is called off. */
const FAREWELL_MS = 500;

/** Bytes as they come; can be read once. */
export type ArtifactSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** A result that is sent piece by piece. */
export interface ArtifactInput {
  /**
   * What it consists of; a text is sent as UTF-8. An iterable or stream is read as the receiver takes it. A function gives one
   * that begins anew with each call: a text, bytes and what a function gives are sent again when the daemon was restarted.
   */
  data: ArtifactSource | (() => ArtifactSource) | Uint8Array | string;
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

const NAMES: OptionNames<ArtifactInput> = {
  data: true,
  name: true,
  mediaType: true,
  artifactId: true,
  totalBytes: true,
  metadata: true,
  signal: true,
};

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

/** How an artifact is sent. */
export interface SendArtifactOptions {
  readonly taskId: string;
  /** Stops it, together with the artifact's own. */
  readonly signal: AbortSignal;
  /** How long the daemon may be gone, when the data can be read again. */
  readonly reconnectMs: number;
}

/** Sends `artifact` as a result of a task; see `IncomingTask.sendArtifact`. */
export async function sendArtifact(
  daemon: DaemonClient,
  artifact: ArtifactInput,
  { taskId, signal, reconnectMs }: SendArtifactOptions,
): Promise<SentArtifact> {
  refuseUnknown(artifact, NAMES, "An artifact");
  const named = { ...artifact, artifactId: artifact.artifactId ?? crypto.randomUUID() };
  const { data } = artifact;
  const canRepeat = typeof data === "string" || typeof data === "function" || data instanceof Uint8Array;
  const outage = new Outage(reconnectMs);
  for (let isRepeated = false;; isRepeated = true) {
    const sending = new Sending(taskId, named);
    try {
      return await sendOnce(daemon, sending, { signal });
    } catch (error) {
      if (!canRepeat || signal.aborted || sending.failure !== undefined) throw error;
      if (!await isDaemonGone(daemon, error, { taskId, isRepeated })) throw error;
      if (sending.isUnderWay) outage.over();
      await outage.pause(error, signal).catch(() => {
        throw error;
      });
    }
  }
}

/** Whether the sending ended because the daemon did, or the connection to it. */
async function isDaemonGone(
  daemon: DaemonClient,
  error: unknown,
  { taskId, isRepeated }: { taskId: string; isRepeated: boolean },
): Promise<boolean> {
  const { code, cause } = toCodedError(error);
  if (cause instanceof ConnectionLostError) return true;
  if (code === "already_exists") return isRepeated; // what was begun before the connection broke has not ended yet
  if (code !== "cancelled") return false;
  try {
    return !isTerminal((await daemon.getTask(taskId)).status);
  } catch {
    return true; // a daemon that stops says that it cancels what is under way
  }
}

async function sendOnce(
  daemon: DaemonClient,
  sending: Sending,
  { signal }: { signal: AbortSignal },
): Promise<SentArtifact> {
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
  readonly #artifact: ArtifactInput & { artifactId: string };
  readonly #hash = createHash("sha256");
  #totalBytes = 0;
  #digest = new Uint8Array();

  constructor(taskId: string, artifact: ArtifactInput & { artifactId: string }) {
    this.#taskId = taskId;
    this.#artifact = artifact;
  }

  /** Whether some of the data was asked for. */
  get isUnderWay(): boolean {
    return this.#totalBytes > 0;
  }

  /** Whether all of the data was sent. */
  get isWhole(): boolean {
    return this.#digest.length > 0;
  }

  get sent(): SentArtifact {
    const sha256 = Array.from(this.#digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { artifactId: this.#artifact.artifactId, totalBytes: this.#totalBytes, sha256 };
  }

  /**
   * A start, the chunks and an end, which says so when the data could not be read or `signal` fired; leaves the data when `over`
   * fires.
   */
  async *requests({ signal, over }: { signal: AbortSignal; over: AbortSignal }): AsyncGenerator<Request> {
    const ids = { taskId: this.#taskId, artifactId: this.#artifact.artifactId };
    const { data, name = "", mediaType = typeof data === "string" ? "text/plain" : "", metadata } =
      this.#artifact;
    const given = typeof data === "function" ? data() : data;
    const bytes = typeof given === "string" ? new TextEncoder().encode(given) : given;
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

/**
 * The data in pieces that are neither too long nor, when there are more at hand, too short. Throws the reason of `signal`, also
 * while the data lets wait.
 */
async function* chunksOf(
  data: ArtifactSource | Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = data instanceof Uint8Array ? [data] : joinSmall(iterate(data), signal);
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += MAX_CHUNK_BYTES) {
      signal.throwIfAborted();
      yield piece.subarray(at, at + MAX_CHUNK_BYTES);
    }
  }
}

/**
 * The pieces of `source`; small ones that it has at hand are joined, and given as soon as it lets wait for more. Left when `signal`
 * fires, also while the next one lets wait.
 */
async function* joinSmall(
  source: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const small = new SmallPieces();
  let over = false;
  try {
    for (let next: Promise<IteratorResult<Uint8Array>> | undefined;;) {
      next ??= source.next();
      const came = await abortable(small.bytes === 0 ? next : Promise.race([next, small.turn]), signal);
      if (came === undefined) {
        next.catch(() => {}); // thrown when it is asked for again, unless nobody does
        yield small.take();
        continue;
      }
      next = undefined;
      over = came.done === true;
      if (came.done) break;
      if (small.bytes + came.value.length > JOINED_BYTES && small.bytes > 0) yield small.take();
      if (came.value.length < JOINED_BYTES) small.add(came.value);
      else yield came.value;
    }
    if (small.bytes > 0) yield small.take();
  } catch (error) {
    over ||= !signal.aborted; // what threw has ended by itself
    if (over && small.bytes > 0) yield small.take();
    throw error;
  } finally {
    // Not waited for: return() of a generator lasts as long as what it is awaiting.
    if (!over) source.return?.().catch(() => {/* nobody asks any more */});
  }
}

/** Pieces that wait for each other, but not longer than a turn of the event loop. */
class SmallPieces {
  bytes = 0;
  /** Resolves in the turn after the one in which the first piece came. */
  turn: Promise<undefined> = Promise.resolve(undefined);
  #pieces: Uint8Array[] = [];

  /** Takes a copy: whoever gave the piece may use it for the next one. */
  add(piece: Uint8Array): void {
    if (this.bytes === 0) this.turn = new Promise((resolve) => setImmediate(() => resolve(undefined)));
    this.#pieces.push(piece.slice());
    this.bytes += piece.length;
  }

  take(): Uint8Array {
    const joined = new Uint8Array(this.bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.bytes = 0;
    return joined;
  }
}

/** Streams by their reader: their own iterators cannot be left while a read is pending. */
function iterate(data: ArtifactSource): AsyncIterator<Uint8Array> {
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
