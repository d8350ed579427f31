import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";

/** What comes due within the same span is looked at together. */
const SPAN_MS = 100;
/** Tasks looked at at once. */
const LOOKED_AT_TOGETHER = 100;
/** Longest sleep: a clock that was set forward is noticed after it. */
const MAX_SLEEP_MS = 60_000;
/** The others do not wait longer for a task that is being looked at. */
const LOOK_MS = 30_000;

export interface AgendaDeps {
  clock: Clock;
  logger: Logger;
  /** The task's time has come. It is off the agenda then. */
  onDue: (taskId: string) => Promise<void>;
}

/** When which task has to be looked at again; a task has one such time. */
export class Agenda {
  readonly #deps: AgendaDeps;
  readonly #dueOf = new Map<string, number>();
  /** Task ids by the end of the span in which they come due. */
  readonly #spans = new Map<number, Set<string>>();
  readonly #looking = new Set<string>();
  #wake = new AbortController();
  #wakesAtMs = Infinity;

  constructor(deps: AgendaDeps) {
    this.#deps = deps;
  }

  /** Puts the task on the agenda, or moves it. `atMs` is in milliseconds since the Unix epoch. */
  plan(taskId: string, atMs: number): void {
    const spanMs = Math.ceil(atMs / SPAN_MS) * SPAN_MS;
    if (this.#dueOf.get(taskId) === spanMs) return;
    this.drop(taskId);
    this.#dueOf.set(taskId, spanMs);
    const span = this.#spans.get(spanMs) ?? new Set();
    this.#spans.set(spanMs, span.add(taskId));
    if (spanMs < this.#wakesAtMs) this.#wake.abort();
  }

  /** Takes the task off the agenda. */
  drop(taskId: string): void {
    const spanMs = this.#dueOf.get(taskId);
    if (spanMs === undefined) return;
    this.#dueOf.delete(taskId);
    const span = this.#spans.get(spanMs);
    span?.delete(taskId);
    if (span?.size === 0) this.#spans.delete(spanMs);
  }

  /** Calls `onDue` for what comes due, many at a time, until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const due = this.#takeDue(clock.now());
      while (due.length > 0 && !signal.aborted) {
        await this.#within(Promise.all(due.splice(0, LOOKED_AT_TOGETHER).map((id) => this.#look(id))));
      }
      await this.#sleep(signal);
    }
  }

  /** A task that is still being looked at comes later. */
  async #look(taskId: string): Promise<void> {
    const { clock, logger, onDue } = this.#deps;
    if (this.#looking.has(taskId)) return this.plan(taskId, clock.now() + MAX_SLEEP_MS);
    this.#looking.add(taskId);
    try {
      await onDue(taskId);
    } catch (error) {
      logger.error("A task could not be looked after; it is tried again", { task: taskId, error });
      this.plan(taskId, clock.now() + MAX_SLEEP_MS);
    } finally {
      this.#looking.delete(taskId);
    }
  }

  /** Resolves with `looks`, or without them when they take too long. */
  async #within(looks: Promise<unknown>): Promise<void> {
    const { clock, logger } = this.#deps;
    const over = new AbortController();
    const late = clock.sleep(LOOK_MS, over.signal).then(() => {
      logger.error("Looking after tasks takes too long; the others go on", { tasks: [...this.#looking] });
    }, () => {
      // The looks ended in time.
    });
    await Promise.race([looks, late]);
    over.abort();
  }

  #takeDue(nowMs: number): string[] {
    const due = [...this.#spans.keys()].filter((spanMs) => spanMs <= nowMs).sort((a, b) => a - b);
    const taskIds = due.flatMap((spanMs) => [...this.#spans.get(spanMs) ?? []]);
    for (const taskId of taskIds) this.drop(taskId);
    return taskIds;
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    this.#wake = new AbortController();
    const nowMs = clock.now();
    this.#wakesAtMs = nowMs + MAX_SLEEP_MS;
    for (const spanMs of this.#spans.keys()) if (spanMs < this.#wakesAtMs) this.#wakesAtMs = spanMs;
    await clock.sleep(Math.max(0, this.#wakesAtMs - nowMs), AbortSignal.any([signal, this.#wake.signal]))
      .catch(() => {
        // Woken early: something is due sooner, or it is over.
      });
    this.#wakesAtMs = -Infinity; // what is planned while tasks are looked at is found before the next sleep
  }
}
