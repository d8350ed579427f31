import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import type { StreamChunk, StreamEnd, StreamStart } from "../gen/agentanycast/v1/streaming_pb.ts";
import { StreamEndReason } from "../gen/agentanycast/v1/streaming_pb.ts";
import { AgentAnycastError, TaskStreamError } from "./errors.ts";

/** How much to take in. */
export interface TakeOptions {
  /** Throws `resource_exhausted` when it is longer. Default 64 MiB. */
  maxBytes?: number;
}

/**
 * A result that comes piece by piece. Can be read once, in one of the ways; all of them throw {@link TaskStreamError} unless
 * every byte has come and is what was sent. A reader that is slow slows the sender.
 */
export interface ArtifactStream extends AsyncIterable<Uint8Array> {
  /** Names it within the task. */
  readonly artifactId: string;
  /** For people, or the name of a file: any text. */
  readonly name: string;
  /** Such as `text/csv`; empty when the sender did not say. */
  readonly mediaType: string;
  /** Bytes to come; undefined when that is not known. */
  readonly totalBytes: number | undefined;
  /** What the sender has given along. */
  readonly metadata: Readonly<Record<string, string>>;
  /** All of it as UTF-8 text. */
  text(options?: TakeOptions): Promise<string>;
  /** All of it. */
  bytes(options?: TakeOptions): Promise<Uint8Array>;
  /** Writes it to a file, which is there under its name once it is whole; one of that name is replaced. Answers its length. */
  saveTo(path: string): Promise<number>;
}

/** What comes of one artifact. */
export type ArtifactEvent =
  | { readonly kind: "chunk"; readonly chunk: StreamChunk }
  | { readonly kind: "end"; readonly end: StreamEnd };

const MAX_TAKEN_BYTES = 64 * 1024 * 1024;

/** {@link ArtifactStream} over the events of one artifact. */
export class DaemonArtifactStream implements ArtifactStream {
  readonly #start: StreamStart;
  readonly #events: () => AsyncIterable<ArtifactEvent>;
  #isTaken = false;

  /** @param events the chunks in order, then the end; called once. */
  constructor(start: StreamStart, events: () => AsyncIterable<ArtifactEvent>) {
    this.#start = start;
    this.#events = events;
  }

  get artifactId(): string {
    return this.#start.artifactId;
  }

  get name(): string {
    return this.#start.artifactName;
  }

  get mediaType(): string {
    return this.#start.mediaType;
  }

  get totalBytes(): number | undefined {
    return Number(this.#start.totalBytes) || undefined;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#start.metadata;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) {
      throw new AgentAnycastError("failed_precondition", `Artifact ${this.artifactId} has been read already`);
    }
    this.#isTaken = true;
    const hash = createHash("sha256");
    let sequence = 0;
    let bytes = 0;
    for await (const event of this.#events()) {
      if (event.kind === "end") return this.#checkEnd(event.end, { bytes, sha256: hash.digest() });
      const { data, sequence: given } = event.chunk;
      if (given !== sequence++) throw this.#loss(`chunk ${given} came where ${sequence - 1} was to come`);
      hash.update(data);
      bytes += data.length;
      yield data;
    }
    throw this.#loss("it stopped before its end");
  }

  async text(options: TakeOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.bytes(options));
  }

  async bytes({ maxBytes = MAX_TAKEN_BYTES }: TakeOptions = {}): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this) {
      length += chunk.length;
      if (length > maxBytes) {
        throw new AgentAnycastError(
          "resource_exhausted",
          `Cannot take artifact ${this.artifactId}: it has more than ${maxBytes} bytes; save or iterate it`,
        );
      }
      chunks.push(chunk);
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  async saveTo(path: string): Promise<number> {
    const partial = `${path}.${crypto.randomUUID()}.part`;
    try {
      const bytes = await this.#write(partial);
      await rename(partial, path);
      return bytes;
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async #write(path: string): Promise<number> {
    const file = await open(path, "wx");
    let length = 0;
    try {
      for await (const chunk of this) {
        for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
        length += chunk.length;
      }
    } finally {
      await file.close();
    }
    return length;
  }

  #checkEnd(end: StreamEnd, { bytes, sha256 }: { bytes: number; sha256: Uint8Array }): void {
    const why = end.errorMessage || "the agent gave no reason";
    switch (end.reason) {
      case StreamEndReason.CANCELED:
        throw new TaskStreamError("cancelled", `Artifact ${this.artifactId} was called off: ${why}`);
      case StreamEndReason.ERROR:
        throw new TaskStreamError("aborted", `Artifact ${this.artifactId} is not whole: ${why}`);
    }
    const told = Number(end.totalBytes);
    if (told > 0 && told !== bytes) throw this.#loss(`${bytes} of ${told} bytes have come`);
    const isSame = end.sha256.length === sha256.length && sha256.every((byte, i) => byte === end.sha256[i]);
    if (end.sha256.length > 0 && !isSame) {
      throw this.#loss("its SHA-256 is not the one that was told");
    }
  }

  #loss(what: string): TaskStreamError {
    return new TaskStreamError("data_loss", `Artifact ${this.artifactId} is damaged: ${what}`);
  }
}
