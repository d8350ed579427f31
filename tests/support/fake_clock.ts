import type { Clock } from "../../core/clock.ts";

interface Sleeper {
  atMs: number;
  wake: () => void;
}

/** A clock that a test moves. */
export class FakeClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #sleepers: Sleeper[] = [];

  now(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const leave = () => this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
      const onAbort = () => {
        leave();
        reject(signal?.reason);
      };
      const wake = () => {
        leave();
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper = { atMs: this.#nowMs + delayMs, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves the time and wakes whose time has come, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const one of this.#sleepers.filter((s) => s.atMs <= this.#nowMs).sort((a, b) => a.atMs - b.atMs)) {
      one.wake();
    }
  }
}
