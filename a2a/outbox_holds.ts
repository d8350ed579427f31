import type { Clock } from "../core/clock.ts";
import { Pause } from "./pause.ts";

export interface OutboxHoldsDeps {
  clock: Clock;
  /** The hold of the envelope with this sequence is over: it, and those of its task behind it, may go. */
  onOver: (sequence: number) => void;
}

interface Hold {
  /** Of the envelope that is held; those of its task behind it wait for it. */
  readonly sequence: number;
  readonly tries: number;
  /** Undefined while the envelope is tried again. */
  readonly untilMs: number | undefined;
}

/** Tasks remembered; beyond it the whole lane has to wait instead. */
const MAX_TASKS = 1_000;
/** Holds that end within this time of each other end together: each end has the store looked at again. */
const SPAN_MS = 200;

/** The tasks of a lane whose next envelope is held back for a while, so that the others need not wait for it. */
export class OutboxHolds {
  readonly #deps: OutboxHoldsDeps;
  readonly #byTask = new Map<string, Hold>();
  #held = 0;
  readonly #timer: Pause;
  #timerEndsAtMs = Infinity;

  constructor(deps: OutboxHoldsDeps) {
    this.#deps = deps;
    this.#timer = new Pause(deps.clock, () => this.#endDue());
  }

  /** Whether any task is held back. */
  get active(): boolean {
    return this.#held > 0;
  }

  has(taskId: string): boolean {
    return this.#held > 0 && this.#byTask.get(taskId)?.untilMs !== undefined;
  }

  /** Holds the envelope back for as long as `delayMs` says, given how often that was done before; false when too many are. */
  hold(taskId: string, sequence: number, delayMs: (earlier: number) => number): boolean {
    const before = this.#byTask.get(taskId);
    if (before === undefined && this.#byTask.size >= MAX_TASKS) return false;
    const tries = before?.tries ?? 0;
    if (before?.untilMs === undefined) this.#held++;
    const untilMs = this.#deps.clock.now() + delayMs(tries);
    this.#byTask.set(taskId, { sequence, tries: tries + 1, untilMs });
    this.#schedule();
    return true;
  }

  /** The envelope got through: the next one of its task starts anew. */
  clear(taskId: string): void {
    if (this.#byTask.size === 0) return;
    if (this.has(taskId)) this.#held--;
    this.#byTask.delete(taskId);
  }

  /** Ends all holds. */
  end(): void {
    for (const [taskId, hold] of this.#byTask) if (hold.untilMs !== undefined) this.#end(taskId, hold);
    this.#schedule();
  }

  #endDue(): void {
    this.#timerEndsAtMs = Infinity;
    const dueMs = this.#deps.clock.now() + SPAN_MS;
    for (const [taskId, hold] of this.#byTask) {
      if (hold.untilMs !== undefined && hold.untilMs <= dueMs) this.#end(taskId, hold);
    }
    this.#schedule();
  }

  #end(taskId: string, { sequence, tries }: Hold): void {
    this.#byTask.set(taskId, { sequence, tries, untilMs: undefined });
    this.#held--;
    this.#deps.onOver(sequence);
  }

  #schedule(): void {
    let nextMs = Infinity;
    if (this.#held > 0) {
      for (const { untilMs = Infinity } of this.#byTask.values()) nextMs = Math.min(nextMs, untilMs);
    }
    if (nextMs === Infinity) return this.#timer.end();
    if (this.#timer.active) {
      if (nextMs < this.#timerEndsAtMs) this.#timer.end(); // it is set anew then
      return;
    }
    this.#timerEndsAtMs = nextMs;
    this.#timer.begin(Math.max(0, nextMs - this.#deps.clock.now()));
  }
}
