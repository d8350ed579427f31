import type { Answer } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type { FrameChannel } from "../../p2p/mod.ts";
import {
  decodeLaneFrame,
  encodeLaneFrame,
  type LaneFrame,
  type LaneLimits,
  type NumberedAnswer,
  type NumberedEnvelope,
} from "./lane_codec.ts";
import { MAX_BATCH_ITEMS, OWN_LIMITS } from "./lane_limits.ts";

/** Answers that may wait to be written, in windows: beyond it the peer does not read them. */
const MAX_UNWRITTEN_WINDOWS = 16;

export interface LaneReceiverDeps {
  /** Judges an envelope; what it answers is on disk. Envelopes are handed over in order, without waiting in between. */
  receive(bytes: Uint8Array): Promise<Answer>;
}

/**
 * Serves a lane that a peer opened until the peer ends it, and resolves when every envelope that arrived is judged.
 * @throws CodedError `invalid_argument` when the peer broke the protocol, `unavailable` and its kin when the lane was lost.
 */
export async function serveLane(
  channel: FrameChannel,
  deps: LaneReceiverDeps,
  limits: LaneLimits = OWN_LIMITS,
): Promise<void> {
  await new LaneReceiver(channel, deps, limits).run();
}

class LaneReceiver {
  readonly #channel: FrameChannel;
  readonly #deps: LaneReceiverDeps;
  readonly #limits: LaneLimits;
  readonly #judging = new Set<Promise<void>>();
  #greeted = false;
  #lastNumber = 0;
  #unanswered = 0;
  #unansweredBytes = 0;
  #answers: NumberedAnswer[] = [];
  #writing = false;
  #writtenAll: (() => void) | undefined;
  #failure: CodedError | undefined;

  constructor(channel: FrameChannel, deps: LaneReceiverDeps, limits: LaneLimits) {
    this.#channel = channel;
    this.#deps = deps;
    this.#limits = limits;
  }

  async run(): Promise<void> {
    try {
      await this.#channel.send(encodeLaneFrame({ kind: "hello", limits: this.#limits }));
      for await (const bytes of this.#channel.frames()) {
        await this.#take(decodeLaneFrame(bytes, { maxItems: this.#limits.maxUnansweredEnvelopes }));
      }
      await Promise.all(this.#judging);
      await this.#untilWritten();
      await this.#channel.close();
    } catch (error) {
      this.#channel.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      await Promise.all(this.#judging);
    }
  }

  async #take(frame: LaneFrame): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#greeted && frame.kind !== "hello") throw violation(`${frame.kind} came before the hello`);
    switch (frame.kind) {
      case "hello":
        if (this.#greeted) throw violation("a second hello came");
        this.#greeted = true;
        return;
      case "envelopes":
        for (const envelope of frame.envelopes) this.#start(envelope);
        return;
      case "ping":
        return await this.#channel.send(encodeLaneFrame({ kind: "pong", id: frame.id }));
      case "pong":
      case "unknown":
        return;
      case "answers":
        throw violation("answers came from the opener");
      default:
        return frame satisfies never;
    }
  }

  #start({ number, bytes }: NumberedEnvelope): void {
    const { maxUnansweredEnvelopes, maxUnansweredBytes, maxEnvelopeBytes } = this.#limits;
    if (number !== this.#lastNumber + 1) {
      throw violation(`envelope ${number} came after ${this.#lastNumber}`);
    }
    if (bytes.length > maxEnvelopeBytes) throw violation(`an envelope of ${bytes.length} bytes came`);
    this.#lastNumber = number;
    this.#unanswered++;
    this.#unansweredBytes += bytes.length;
    const fits = this.#unanswered <= maxUnansweredEnvelopes && this.#unansweredBytes <= maxUnansweredBytes;
    if (this.#unanswered > 1 && !fits) {
      throw violation(`${this.#unanswered} envelopes of ${this.#unansweredBytes} bytes are unanswered`);
    }
    const judged = this.#judge({ number, bytes }).finally(() => this.#judging.delete(judged));
    this.#judging.add(judged);
  }

  async #judge({ number, bytes }: NumberedEnvelope): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#deps.receive(bytes);
    } catch {
      // It promises not to throw; should it, the envelope is the sender's to send again.
      answer = { outcome: "busy", reason: "internal error" };
    }
    this.#unanswered--;
    this.#unansweredBytes -= bytes.length;
    this.#answers.push({ number, answer });
    if (this.#answers.length > this.#limits.maxUnansweredEnvelopes * MAX_UNWRITTEN_WINDOWS) {
      this.#fail(
        new CodedError("resource_exhausted", "The peer sends envelopes and does not read the answers"),
      );
    }
    if (this.#writing) return;
    this.#writing = true;
    // Answers of one tick go together.
    setImmediate(() => this.#writeAnswers());
  }

  #writeAnswers(): void {
    if (this.#answers.length === 0 || this.#failure !== undefined) {
      this.#writing = false;
      return this.#writtenAll?.();
    }
    const answers = this.#answers.splice(0, MAX_BATCH_ITEMS);
    this.#channel.send(encodeLaneFrame({ kind: "answers", answers })).then(
      () => this.#writeAnswers(),
      (error) => {
        this.#fail(error);
        this.#writeAnswers();
      },
    );
  }

  /** Gives the lane up from outside the loop that reads it, which then ends. */
  #fail(error: CodedError): void {
    this.#failure ??= error;
    this.#answers = [];
    this.#channel.abort(error);
  }

  async #untilWritten(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#writtenAll = resolve);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function violation(found: string): CodedError {
  return new CodedError("invalid_argument", `The peer broke the protocol of the lane: ${found}`);
}
