import type { Engine } from "../a2a/mod.ts";
import { type Clock, systemClock } from "../core/clock.ts";

/** When it is tried again after a relay is there, in milliseconds: those behind it come back to it one by one. */
const TRIES_MS: readonly number[] = [200, 1_000, 2_500, 5_000, 10_000];

/**
 * A relay that comes back brings back those who are reached through it: what waits for peers is then tried again, instead of
 * at the end of a pause that grew while the relay was away. Disposing it ends what it has planned.
 */
export class RelayReturn implements Disposable {
  readonly #clock: Clock;
  #engine: Pick<Engine, "retryUndelivered"> | undefined;
  readonly #stop = new AbortController();
  #latest: AbortController | undefined;

  constructor({ clock = systemClock }: { clock?: Clock } = {}) {
    this.#clock = clock;
  }

  /** Whose messages wait; before it is known, nothing does. */
  serve(engine: Pick<Engine, "retryUndelivered">): void {
    this.#engine = engine;
  }

  /** A relay is connected. What was planned for an earlier one is planned anew. */
  connected(): void {
    this.#latest?.abort();
    const latest = this.#latest = new AbortController();
    void this.#tryAgain(AbortSignal.any([latest.signal, this.#stop.signal]));
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #tryAgain(signal: AbortSignal): Promise<void> {
    let waitedMs = 0;
    for (const atMs of TRIES_MS) {
      await this.#clock.sleep(atMs - waitedMs, signal).catch(() => {
        // Ended, or planned anew.
      });
      if (signal.aborted) return;
      waitedMs = atMs;
      this.#engine?.retryUndelivered();
    }
  }
}
