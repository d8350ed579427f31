import type { Clock } from "../core/clock.ts";

/** Pauses of a loop, which somebody else may cut short. */
export class Pause {
  #cut = new AbortController();

  constructor(readonly clock: Clock) {}

  /** Resolves after `ms`, or with true when {@link end} was called since the last pause. Rejects with the reason of `signal`. */
  async take(ms: number, signal: AbortSignal): Promise<boolean> {
    const cut = this.#cut;
    try {
      await this.clock.sleep(ms, AbortSignal.any([signal, cut.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
    }
    if (cut.signal.aborted) this.#cut = new AbortController();
    return cut.signal.aborted;
  }

  /** Ends the pause under way; without one, the next. */
  end(): void {
    this.#cut.abort();
  }
}
