import type { Clock } from "../../core/clock.ts";
import { FakeClock } from "./fake_clock.ts";

/**
 * A machine's clock that a test moves and sets: setting it changes what time it is and wakes nobody, since timers run on a
 * clock that nobody sets.
 */
export class FaultClock implements Clock {
  readonly #timers = new FakeClock();
  #offsetMs = 0;

  now(): number {
    return this.#timers.now() + this.#offsetMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return this.#timers.sleep(delayMs, signal);
  }

  /** Time passes. */
  advance(ms: number): void {
    this.#timers.advance(ms);
  }

  /** Somebody sets the clock: forward, or back with a negative number. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }
}
