import type { Clock } from "../core/clock.ts";

/** A stretch of time in which something is not done, which can be cut short. */
export class Pause {
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #sleep: AbortController | undefined;

  /** @param onEnd called when a pause is over, whatever ended it. */
  constructor(clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get active(): boolean {
    return this.#sleep !== undefined;
  }

  /** Begins a pause, unless there is one. */
  begin(durationMs: number): void {
    if (this.#sleep !== undefined) return;
    const sleep = this.#sleep = new AbortController();
    const end = () => {
      if (this.#sleep === sleep) this.#sleep = undefined;
      this.#onEnd();
    };
    this.#clock.sleep(durationMs, sleep.signal).then(end, end);
  }

  /** Ends the pause now. */
  end(): void {
    this.#sleep?.abort();
  }
}
