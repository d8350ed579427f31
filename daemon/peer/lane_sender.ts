import type { Answer } from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError, errorMessage, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { FrameChannel } from "../../p2p/mod.ts";
import { decodeLaneFrame, encodeLaneFrame, type LaneFrame, type LaneLimits } from "./lane_codec.ts";
import {
  DOUBT_MS,
  HELLO_MS,
  IDLE_MS,
  MAX_BATCH_BYTES,
  MAX_BATCH_ITEMS,
  OWN_LIMITS,
  PONG_MS,
  QUIET_MS,
  TICK_MS,
  UNGREETED_LIMITS,
} from "./lane_limits.ts";
import { SendQueue } from "./send_queue.ts";

export interface LaneSenderDeps {
  clock: Clock;
  logger: Logger;
  /** Envelopes are unanswered and nothing was heard for a second; told again after every further one. */
  onDoubt?(): void;
}

/** The opener's end of a lane: envelopes leave in the order of the calls, within what the receiver takes at once. */
export class LaneSender {
  readonly #channel: FrameChannel;
  readonly #deps: LaneSenderDeps;
  readonly #stop = new AbortController();
  readonly #queue: SendQueue;
  /** What the receiver takes; undefined until its hello. */
  #limits: LaneLimits | undefined;
  #writing = false;
  #scheduled = false;
  #gone: CodedError | undefined;
  #heardAtMs: number;
  #pingedAtMs: number | undefined;
  #pings = 0n;
  #retiring = false;
  #doubting = false;
  readonly #running: Promise<unknown>;

  private constructor(channel: FrameChannel, deps: LaneSenderDeps) {
    this.#channel = channel;
    this.#deps = deps;
    this.#queue = new SendQueue(deps.clock);
    this.#heardAtMs = deps.clock.now();
    this.#running = Promise.all([this.#read(), this.#watch()]);
  }

  /** Says hello on a channel, which is the lane's from then on; the first envelopes follow before the receiver has done so too. */
  static open(channel: FrameChannel, deps: LaneSenderDeps): LaneSender {
    const lane = new LaneSender(channel, deps);
    lane.#write({ kind: "hello", limits: OWN_LIMITS });
    return lane;
  }

  /** Whether the receiver has said hello. */
  get greeted(): boolean {
    return this.#limits !== undefined;
  }

  /** Whether it can take no more envelopes; what is under way may still be answered. */
  get gone(): boolean {
    return this.#gone !== undefined;
  }

  /** Whether it is gone because the peer speaks no lanes, and so took nothing of it. */
  get unspoken(): boolean {
    return this.#gone?.code === "unimplemented";
  }

  /** How many envelopes may be under way at once. */
  get window(): number {
    const { maxUnansweredEnvelopes } = this.#limits ?? UNGREETED_LIMITS;
    return Math.max(1, Math.min(maxUnansweredEnvelopes, MAX_BATCH_ITEMS));
  }

  /** Resolves when the lane is gone and nothing of it runs any more. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /**
   * Sends an envelope and waits for its answer. Beyond the receiver's window it waits here, in order.
   * @throws CodedError `unavailable` (the lane broke: it may have arrived or not), `unimplemented` (the peer speaks no lanes),
   * `resource_exhausted` (too many wait here), and by `signal`, after which an envelope that has not left does not leave.
   */
  async send(bytes: Uint8Array, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Answer> {
    if (signal?.aborted) throw toCodedError(signal.reason);
    if (this.#gone !== undefined) throw this.#gone;
    const { maxEnvelopeBytes } = this.#limits ?? OWN_LIMITS;
    if (bytes.length > maxEnvelopeBytes) return tooLong(maxEnvelopeBytes);
    const waiting = this.#queue.add(bytes);
    this.#schedule();
    if (!this.#doubting) this.#doubtIn(DOUBT_MS);
    if (signal === undefined) return await waiting.answered.promise;
    const onAbort = () => this.#queue.leave(waiting, toCodedError(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await waiting.answered.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Whether another lane is to be opened: this one is gone, or ends with what it has been given. */
  get retiring(): boolean {
    return this.gone || this.#retiring;
  }

  /** Ends the lane as soon as every envelope is answered. */
  retire(): void {
    this.#retiring = true;
    this.#endRetired();
  }

  /** Ends the lane; envelopes without an answer fail with `unavailable`. Resolves when nothing of it runs any more. */
  async close(): Promise<void> {
    this.#giveUp(new CodedError("unavailable", "The lane was closed: the node is stopping"), {
      orderly: true,
    });
    await this.#running;
  }

  /** Envelopes of one tick go together: they are looked at when its promises have had their turn. */
  #schedule(): void {
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#writeNext();
    });
  }

  #writeNext(): void {
    if (this.#writing || this.#gone !== undefined) return;
    const { maxUnansweredBytes, maxEnvelopeBytes } = this.#limits ?? UNGREETED_LIMITS;
    const envelopes = this.#queue.take({
      maxUnanswered: this.window,
      maxUnansweredBytes: Math.min(maxUnansweredBytes, OWN_LIMITS.maxUnansweredBytes),
      maxEnvelopeBytes,
      maxBatchBytes: MAX_BATCH_BYTES,
    });
    if (envelopes.length > 0) this.#write({ kind: "envelopes", envelopes });
  }

  #write(frame: Exclude<LaneFrame, { kind: "unknown" }>): void {
    const isBatch = frame.kind === "envelopes";
    if (isBatch) this.#writing = true;
    this.#channel.send(encodeLaneFrame(frame)).then(() => {
      if (!isBatch) return;
      this.#writing = false;
      this.#writeNext();
    }, (error) => this.#giveUp(broken(error)));
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of this.#channel.frames()) {
        this.#heardAtMs = this.#deps.clock.now();
        this.#pingedAtMs = undefined;
        const frame = decodeLaneFrame(bytes, { maxItems: MAX_BATCH_ITEMS });
        // Waited for: a receiver that asks and does not read would fill our memory with answers.
        if (frame.kind === "ping") await this.#channel.send(encodeLaneFrame({ kind: "pong", id: frame.id }));
        this.#take(frame);
      }
      this.#giveUp(new CodedError("unavailable", "The lane is gone: the peer ended it; send again"), {
        orderly: true,
      });
    } catch (error) {
      this.#giveUp(broken(error));
    }
  }

  #take(frame: LaneFrame): void {
    if (this.#limits === undefined) {
      if (frame.kind !== "hello") throw violation(`${frame.kind} came before the hello`);
      this.#limits = frame.limits;
      const { maxEnvelopeBytes } = frame.limits;
      this.#queue.answerLonger(maxEnvelopeBytes, tooLong(maxEnvelopeBytes));
      this.#endRetired();
      return this.#schedule();
    }
    switch (frame.kind) {
      case "answers":
        for (const { number, answer } of frame.answers) {
          if (!this.#queue.answer(number, answer)) throw violation(`there is no open envelope ${number}`);
        }
        this.#endRetired();
        return this.#schedule();
      case "ping":
      case "pong":
      case "unknown":
        return;
      case "hello":
      case "envelopes":
        throw violation(`${frame.kind} came from the receiver`);
      default:
        return frame satisfies never;
    }
  }

  #endRetired(): void {
    if (!this.#retiring || !this.#queue.empty) return;
    const error = new CodedError("unavailable", "The lane was closed: another way is better; send again");
    this.#giveUp(error, { orderly: true });
  }

  async #watch(): Promise<void> {
    const { clock } = this.#deps;
    while (this.#gone === undefined) {
      try {
        await clock.sleep(TICK_MS, this.#stop.signal);
      } catch {
        return; // Only the end of the lane ends the sleep early.
      }
      this.#look(clock.now());
    }
  }

  /** Runs on while envelopes are unanswered. */
  #doubtIn(delayMs: number): void {
    const { clock, onDoubt } = this.#deps;
    this.#doubting = true;
    const look = () => {
      this.#doubting = false;
      if (this.#gone !== undefined || this.#queue.empty) return;
      const leftMs = DOUBT_MS - this.#quietMs(clock.now());
      if (leftMs <= 0) onDoubt?.();
      this.#doubtIn(leftMs <= 0 ? DOUBT_MS : leftMs);
    };
    clock.sleep(delayMs, this.#stop.signal).then(look, () => {
      // The lane is gone.
    });
  }

  /** For how long nothing was heard while something was due. */
  #quietMs(nowMs: number): number {
    return nowMs - Math.max(this.#heardAtMs, this.#queue.changedAtMs);
  }

  #look(nowMs: number): void {
    if (this.#limits === undefined) {
      if (nowMs - this.#heardAtMs < HELLO_MS) return;
      return this.#giveUp(
        new CodedError("unavailable", "The lane did not open: no hello in time; try again"),
      );
    }
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs < PONG_MS) return;
      return this.#giveUp(
        new CodedError("unavailable", "The lane is gone: the peer gives no sign of life; send again"),
      );
    }
    const quietMs = this.#quietMs(nowMs);
    if (!this.#queue.empty) {
      if (quietMs < QUIET_MS) return;
      this.#pingedAtMs = nowMs;
      return this.#write({ kind: "ping", id: ++this.#pings });
    }
    if (quietMs < IDLE_MS) return;
    this.#giveUp(new CodedError("unavailable", "The lane was closed: it was idle"), { orderly: true });
  }

  /** Ends the lane; `orderly` tells the peer by the end of the stream instead of a reset when nothing is under way. */
  #giveUp(error: CodedError, { orderly = false } = {}): void {
    if (this.#gone !== undefined) return;
    this.#gone = error;
    this.#deps.logger.debug("Lane to a peer ended", { peer: this.#channel.peerId, reason: error.message });
    this.#stop.abort(error);
    const abort = () => this.#channel.abort(error);
    const idle = this.#queue.empty;
    this.#queue.failAll(error);
    if (orderly && idle) this.#channel.close().then(abort, abort);
    else abort();
  }
}

function tooLong(maxBytes: number): Answer {
  return { outcome: "refused", reason: `the peer takes envelopes of at most ${maxBytes} bytes` };
}

function broken(cause: unknown): CodedError {
  if (cause instanceof CodedError && cause.code === "unimplemented") return cause;
  return new CodedError("unavailable", `The lane is gone: ${errorMessage(cause)}; send again`, { cause });
}

function violation(found: string): CodedError {
  return new CodedError("invalid_argument", `The peer broke the protocol of the lane: ${found}`);
}
