import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../../core/errors.ts";
import { KeyedLock } from "../../core/keyed_lock.ts";

/** Bounds of {@link Turns}. */
export interface TurnsOptions {
  /** Longest first turn: enough for nearly all work, short enough for many at once. Milliseconds. Default 2. */
  firstMs?: number;
  /** Longest of the following turns, in milliseconds. Default 8. */
  turnMs?: number;
  /** Most works that need more than one turn and are not done. Default 64. */
  maxWaiting?: number;
}

/** Does long work in short turns, so that everything else goes on in between. After their first turn, one work at a time. */
export class Turns {
  readonly #options: Required<TurnsOptions>;
  readonly #lock = new KeyedLock();
  #waiting = 0;

  constructor(options: TurnsOptions = {}) {
    this.#options = { firstMs: 2, turnMs: 8, maxWaiting: 64, ...options };
  }

  /**
   * Calls `work` until it answers true; it answers false when `isOver` says so, and goes on where it was at the next call.
   * Throws `resource_exhausted` when too many wait already.
   */
  async run(work: (isOver: () => boolean) => boolean): Promise<void> {
    const { firstMs, turnMs, maxWaiting } = this.#options;
    if (work(until(firstMs))) return;
    if (this.#waiting >= maxWaiting) {
      throw new CodedError(
        "resource_exhausted",
        `The query takes long and ${maxWaiting} such queries, the most at once, are not done: name a skill, or ask later`,
      );
    }
    this.#waiting++;
    try {
      await this.#lock.run("turns", async () => {
        do await sleep(0); while (!work(until(turnMs)));
      });
    } finally {
      this.#waiting--;
    }
  }
}

function until(durationMs: number): () => boolean {
  const endMs = performance.now() + durationMs;
  return () => performance.now() >= endMs;
}
