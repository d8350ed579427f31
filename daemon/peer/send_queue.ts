import type { Answer } from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { NumberedEnvelope } from "./lane_codec.ts";

/** Envelopes that wait to leave, at most. */
const MAX_WAITING = 4096;

const NO_BYTES = new Uint8Array();

/** An envelope whose answer somebody waits for. */
export interface Waiting {
  /** Empty once it has left: its sender has them, should it have to be sent again. */
  bytes: Uint8Array;
  /** How many bytes it has. */
  readonly size: number;
  readonly answered: PromiseWithResolvers<Answer>;
}

/** What may leave now. */
export interface TakeLimits {
  maxUnanswered: number;
  maxUnansweredBytes: number;
  /** One that is longer stays, and those behind it. */
  maxEnvelopeBytes: number;
  maxBatchBytes: number;
}

/** The envelopes of a lane: those that wait to leave, in order, and those that wait for their answer, by number. */
export class SendQueue {
  readonly #clock: Clock;
  /** A set keeps the order and lets one leave from the middle. */
  readonly #waiting = new Set<Waiting>();
  readonly #unanswered = new Map<number, Waiting>();
  #unansweredBytes = 0;
  #lastNumber = 0;
  #changedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#changedAtMs = clock.now();
  }

  get empty(): boolean {
    return this.#waiting.size === 0 && this.#unanswered.size === 0;
  }

  /** When it last became empty or ceased to be, in milliseconds since the Unix epoch. */
  get changedAtMs(): number {
    return this.#changedAtMs;
  }

  /** Appends an envelope. @throws CodedError `resource_exhausted` when too many wait. */
  add(bytes: Uint8Array): Waiting {
    if (this.#waiting.size >= MAX_WAITING) {
      throw new CodedError(
        "resource_exhausted",
        `Could not send: ${this.#waiting.size} envelopes wait for the peer; wait for their answers`,
      );
    }
    if (this.empty) this.#changedAtMs = this.#clock.now();
    const waiting = { bytes, size: bytes.length, answered: Promise.withResolvers<Answer>() };
    this.#waiting.add(waiting);
    return waiting;
  }

  /** Takes from the front what may leave now, and numbers it. */
  take(limits: TakeLimits): NumberedEnvelope[] {
    const batch: NumberedEnvelope[] = [];
    let batchBytes = 0;
    for (const waiting of this.#waiting) {
      const { length } = waiting.bytes;
      const fits = this.#unanswered.size < limits.maxUnanswered &&
        this.#unansweredBytes + length <= limits.maxUnansweredBytes;
      if (length > limits.maxEnvelopeBytes || (this.#unanswered.size > 0 && !fits)) break;
      if (batch.length > 0 && batchBytes + length > limits.maxBatchBytes) break;
      this.#waiting.delete(waiting);
      this.#unanswered.set(++this.#lastNumber, waiting);
      this.#unansweredBytes += length;
      batchBytes += length;
      batch.push({ number: this.#lastNumber, bytes: waiting.bytes });
      waiting.bytes = NO_BYTES;
    }
    return batch;
  }

  /** Answers those that wait and are longer than `maxBytes`. */
  answerLonger(maxBytes: number, answer: Answer): void {
    for (const waiting of this.#waiting) {
      if (waiting.size <= maxBytes) continue;
      this.#waiting.delete(waiting);
      waiting.answered.resolve(answer);
    }
  }

  /** Takes the answer to an envelope; false when that number is not open. */
  answer(number: number, answer: Answer): boolean {
    const waiting = this.#unanswered.get(number);
    if (waiting === undefined) return false;
    this.#unanswered.delete(number);
    this.#unansweredBytes -= waiting.size;
    if (this.empty) this.#changedAtMs = this.#clock.now();
    waiting.answered.resolve(answer);
    return true;
  }

  /** Its caller gives up: one that has not left stays; one that has left keeps its place until the receiver answers. */
  leave(waiting: Waiting, error: CodedError): void {
    this.#waiting.delete(waiting);
    waiting.answered.reject(error);
  }

  failAll(error: CodedError): void {
    for (const waiting of [...this.#unanswered.values(), ...this.#waiting]) waiting.answered.reject(error);
    this.#unanswered.clear();
    this.#waiting.clear();
    this.#unansweredBytes = 0;
  }
}
