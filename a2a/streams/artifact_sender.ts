import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { abortable } from "../../core/abortable.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { SendWindow } from "./send_window.ts";
import { checkChunkBytes, checkSequence } from "./stream_checks.ts";
import type { StreamChunk, StreamEnd, StreamStart } from "./stream_event.ts";
import type { StreamOptions } from "./stream_options.ts";
import type { ArtifactLink, ReceiverMessage, SenderChannel, SenderMessage } from "./stream_ports.ts";
import { Wakeup } from "./wakeup.ts";

export interface ArtifactSenderDeps {
  link: ArtifactLink;
  clock: Clock;
  logger: Logger;
  /** From 0 to below 1. */
  random: () => number;
}

/** What became of an artifact that was sent to its end. */
export type SentArtifact =
  /** The receiver has it. */
  | {
    readonly kind: "streamed";
    readonly start: StreamStart;
    readonly sha256: Uint8Array;
    readonly bytes: number;
  }
  /** The receiver takes no streams: this is all of it. */
  | { readonly kind: "collected"; readonly start: StreamStart; readonly data: Uint8Array };

type EndMessage = Extract<SenderMessage, { type: "end" }>;

/**
 * Sends one artifact to its receiver over as many channels as it takes. It keeps what is not acknowledged and nothing else;
 * {@link feed} waits when that is a window full.
 */
export class ArtifactSender {
  readonly #deps: ArtifactSenderDeps;
  readonly #peerId: string;
  readonly #start: StreamStart;
  readonly #streamId = crypto.randomUUID().replaceAll("-", "");
  readonly #options: StreamOptions;
  readonly #window: SendWindow;
  readonly #hash = createHash("sha256");
  readonly #changed = new Wakeup();
  readonly #result = Promise.withResolvers<SentArtifact>();
  #sha256: Uint8Array | undefined;
  #bytes = 0;
  #peerWindowBytes = 0;
  #end: EndMessage | undefined;
  #endSent = false;
  #collecting = false;
  #accepted = false;
  #over = false;
  readonly #failed = new AbortController();

  constructor(
    deps: ArtifactSenderDeps,
    { peerId, start, options }: { peerId: string; start: StreamStart; options: StreamOptions },
  ) {
    this.#deps = deps;
    this.#peerId = peerId;
    this.#start = start;
    this.#options = options;
    this.#window = new SendWindow(options.windowBytes);
    this.#result.promise.catch(() => {
      // finish() tells it; a stream that was given up has nobody to tell.
    });
  }

  /** Fires with the reason when the stream has failed. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /**
   * Adds a chunk and resolves when it has room. Throws `out_of_range`, `resource_exhausted`, or the reason of `signal`, which is
   * to fire with {@link failed}.
   */
  async feed({ sequence, data, isLast }: StreamChunk, { signal }: { signal: AbortSignal }): Promise<void> {
    checkSequence(sequence, this.#window.nextSequence);
    checkChunkBytes(data, this.#options.maxChunkBytes);
    while (true) {
      const changed = this.#changed.next;
      signal.throwIfAborted();
      if (this.#collecting) this.#checkCollected(this.#bytes + data.length);
      if (this.#collecting || this.#window.hasRoomFor(data)) break;
      await abortable(changed, signal);
    }
    this.#hash.update(data);
    this.#bytes += data.length;
    this.#window.add(data, isLast);
    this.#changed.wake();
  }

  /** Ends the artifact as whole and resolves when the receiver has all of it on disk. Throws `data_loss` or what ended it. */
  async finish(end: StreamEnd, { signal }: { signal: AbortSignal }): Promise<SentArtifact> {
    const sha256 = this.#sha256 = new Uint8Array(this.#hash.digest());
    checkWhole({ sha256, bytes: this.#bytes }, { start: this.#start, end });
    this.#end = {
      type: "end",
      end: { reason: "complete", sha256, totalBytes: this.#bytes, errorMessage: "" },
    };
    this.#changed.wake();
    if (this.#collecting) this.#settleCollected();
    return await abortable(this.#result.promise, signal);
  }

  /** Gives the artifact up; {@link run} then tells the receiver. */
  giveUp(reason: "canceled" | "error", message: string): void {
    if (this.#over) return;
    this.#window.clear();
    this.#end = {
      type: "end",
      end: { reason, sha256: new Uint8Array(), totalBytes: 0, errorMessage: message },
    };
    if (this.#collecting) this.#fail(new CodedError("cancelled", message));
    this.#changed.wake();
  }

  /** Keeps a channel to the receiver until the stream is over or `signal` fires; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    let attempts = 0;
    while (!this.#over && !signal.aborted) {
      try {
        const channel = await this.#deps.link.open(this.#peerId, { signal });
        await this.#serve(channel, { signal, onAccepted: () => attempts = 0 });
      } catch (error) {
        if (signal.aborted || this.#over) break;
        if (this.#judge(toCodedError(error))) break;
        await this.#pause(attempts++, signal);
      }
    }
    if (signal.aborted) this.#fail(toCodedError(signal.reason));
  }

  /** Whether there is nothing to try any more. */
  #judge(error: CodedError): boolean {
    const { logger } = this.#deps;
    if (error.code === "unimplemented" && !this.#accepted) {
      logger.debug("Peer takes no streams, the artifact goes with the end of its task", {
        peer: this.#peerId,
      });
      this.#collecting = true;
      if (this.#end !== undefined) this.#settleCollected();
      this.#changed.wake();
      return true;
    }
    if (FINAL_CODES.has(error.code)) {
      this.#fail(error);
      return true;
    }
    logger.debug("Stream of an artifact broke and is tried again", { peer: this.#peerId, error });
    return false;
  }

  async #pause(attempts: number, signal: AbortSignal): Promise<void> {
    const { retryMinMs, retryMaxMs } = this.#options;
    const delayMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempts, 30));
    try {
      await this.#deps.clock.sleep(Math.ceil(delayMs * (0.5 + this.#deps.random() / 2)), signal);
    } catch {
      // The signal fired: the loop sees it.
    }
  }

  async #serve(
    channel: SenderChannel,
    { signal, onAccepted }: { signal: AbortSignal; onAccepted: () => void },
  ): Promise<void> {
    const gone = new AbortController();
    const onAbort = () => channel.abort(toCodedError(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const answers = channel.messages()[Symbol.asyncIterator]();
    let writing = Promise.resolve();
    try {
      await channel.send({ type: "open", start: this.#start, streamId: this.#streamId });
      this.#begin(await nextAnswer(answers));
      onAccepted();
      // The answers that arrived before the break are still read: one of them may say why.
      if (!this.#over) {
        writing = this.#write(channel, gone.signal).catch((error) => channel.abort(toCodedError(error)));
      }
      while (!this.#over) this.#take(await nextAnswer(answers));
    } catch (error) {
      channel.abort(toCodedError(error));
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      gone.abort(new CodedError("cancelled", "The channel is over"));
      await writing;
    }
    // What the stream came to is known: a channel that breaks now changes nothing.
    await channel.close().catch((error) => channel.abort(toCodedError(error)));
    await answers.return?.();
  }

  #begin(answer: ReceiverMessage): void {
    if (answer.type === "refused") return this.#refused(answer);
    if (answer.type !== "accepted") throw unexpected(answer);
    this.#accepted = true;
    this.#peerWindowBytes = answer.windowBytes;
    this.#endSent = false;
    if (this.#end === undefined || this.#end.end.reason === "complete") {
      this.#window.rewind(answer.nextSequence);
    }
    this.#changed.wake();
  }

  #take(answer: ReceiverMessage): void {
    switch (answer.type) {
      case "acknowledged":
        if (this.#end !== undefined && this.#end.end.reason !== "complete") return;
        this.#window.acknowledge(answer.nextSequence);
        return this.#changed.wake();
      case "done":
        if (!this.#endSent) throw unexpected(answer);
        return this.#settle();
      case "refused":
        return this.#refused(answer);
      case "accepted":
        throw unexpected(answer);
      default:
        answer satisfies never;
    }
  }

  async #write(channel: SenderChannel, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changed = this.#changed.next;
      const givenUp = this.#end !== undefined && this.#end.end.reason !== "complete";
      const chunk = givenUp ? undefined : this.#window.take(this.#peerWindowBytes);
      if (chunk !== undefined) {
        await channel.send({ type: "chunk", ...chunk }, { signal });
      } else if (this.#end !== undefined && (givenUp || this.#window.allSent)) {
        this.#endSent = true;
        return await channel.send(this.#end, { signal });
      } else {
        await abortable(changed, signal);
      }
    }
  }

  #settle(): void {
    const [start, sha256, bytes] = [this.#start, this.#sha256, this.#bytes];
    if (sha256 === undefined || this.#end?.end.reason !== "complete") {
      return this.#fail(new CodedError("cancelled", "The artifact was given up"));
    }
    this.#over = true;
    this.#window.clear();
    this.#result.resolve({ kind: "streamed", start, sha256, bytes });
  }

  #settleCollected(): void {
    if (this.#over) return;
    if (this.#end?.end.reason !== "complete") {
      return this.#fail(new CodedError("cancelled", "The artifact was given up"));
    }
    try {
      this.#checkCollected(this.#bytes);
    } catch (error) {
      return this.#fail(toCodedError(error));
    }
    this.#over = true;
    this.#result.resolve({ kind: "collected", start: this.#start, data: this.#window.join() });
    this.#window.clear();
  }

  #refused({ code, message }: Extract<ReceiverMessage, { type: "refused" }>): void {
    this.#fail(new CodedError(code, message));
  }

  #fail(error: CodedError): void {
    if (this.#over) return;
    this.#over = true;
    this.#failed.abort(error);
    this.#window.clear();
    this.#result.reject(error);
    this.#changed.wake();
  }

  #checkCollected(bytes: number): void {
    if (bytes <= this.#options.maxCollectedBytes) return;
    throw new CodedError(
      "resource_exhausted",
      `Cannot stream the artifact: the peer does not take streams, and ${bytes} bytes are more than the ` +
        `${this.#options.maxCollectedBytes} that travel with the end of a task`,
    );
  }
}

/** What opening a channel or the peer's answers can say that no other try changes. */
const FINAL_CODES: ReadonlySet<string> = new Set([
  "data_loss",
  "invalid_argument",
  "internal",
  "unimplemented",
]);

/** Throws `data_loss` unless what was counted is what `start` and `end` announce. */
export function checkWhole(
  { sha256, bytes }: { sha256: Uint8Array; bytes: number },
  { start, end }: { start: StreamStart; end: Pick<StreamEnd, "sha256" | "totalBytes"> },
): void {
  for (const announced of [start.totalBytes, end.totalBytes]) {
    if (announced === 0 || announced === bytes) continue;
    throw new CodedError(
      "data_loss",
      `The artifact is not whole: it has ${bytes} bytes, ${announced} were announced`,
    );
  }
  // Byte by byte: what came over a wire may be a Buffer, whose text is another one.
  if (end.sha256.length === 0 || Buffer.compare(end.sha256, sha256) === 0) return;
  throw new CodedError(
    "data_loss",
    `The artifact is not what was announced: its ${bytes} bytes have another SHA-256`,
  );
}

async function nextAnswer(answers: AsyncIterator<ReceiverMessage>): Promise<ReceiverMessage> {
  const answer = await answers.next();
  if (!answer.done) return answer.value;
  throw new CodedError("unavailable", "The receiver of the artifact ended the channel");
}

function unexpected(answer: ReceiverMessage): CodedError {
  return new CodedError(
    "invalid_argument",
    `The receiver of the artifact answered out of turn: ${answer.type}`,
  );
}
