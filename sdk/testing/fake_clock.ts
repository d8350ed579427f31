import type { Clock } from "../../core/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = () => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      // Whole milliseconds, as the wall clock has them: times are stored as such.
      const sleeper = { atMs: this.#nowMs + Math.ceil(Math.max(0, delayMs)), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** When somebody wants to be woken next, if anybody does. */
  get nextMs(): number | undefined {
    let nextMs: number | undefined;
    for (const { atMs } of this.#sleepers) if (nextMs === undefined || atMs < nextMs) nextMs = atMs;
    return nextMs;
  }

  /** Moves the time to `nowMs`, a whole number, and wakes whose time has come. Never moves it back. */
  moveTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    for (const { atMs, wake } of [...this.#sleepers]) if (atMs <= this.#nowMs) wake();
  }
}
