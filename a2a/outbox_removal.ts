import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { OutboxKey, TaskStore } from "./ports.ts";

const MAX_REMOVED_TOGETHER = 200;

export interface OutboxRemovalDeps {
  store: Pick<TaskStore, "removeOutbox">;
  clock: Clock;
  logger: Logger;
  /** Ends the trying: what is not removed then is delivered once more after the next start. */
  signal: AbortSignal;
}

/** Takes delivered envelopes out of the store, together while the last removal is under way. */
export class OutboxRemoval {
  readonly #deps: OutboxRemovalDeps;
  readonly #options: { backoffMs: number; maxBackoffMs: number };
  readonly #waiting: { key: OutboxKey; onRemoved: () => void }[] = [];
  #running: Promise<void> | undefined;

  constructor(deps: OutboxRemovalDeps, options: { backoffMs: number; maxBackoffMs: number }) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Removes the entry soon, then calls `onRemoved`. */
  add({ peerId, lane, sequence }: OutboxKey, onRemoved: () => void): void {
    this.#waiting.push({ key: { peerId, lane, sequence }, onRemoved });
    this.#running ??= this.#run();
  }

  /** Resolves when no removal is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, clock, logger, signal } = this.#deps;
    for (let failures = 0; this.#waiting.length > 0 && !signal.aborted;) {
      const batch = this.#waiting.slice(0, MAX_REMOVED_TOGETHER);
      try {
        await store.removeOutbox(batch.map(({ key }) => key));
        this.#waiting.splice(0, batch.length);
        for (const { onRemoved } of batch) onRemoved();
        failures = 0;
      } catch (error) {
        logger.error("Delivered envelopes could not be removed; trying again", { error });
        const { backoffMs, maxBackoffMs } = this.#options;
        await clock.sleep(Math.min(backoffMs * 2 ** failures++, maxBackoffMs), signal).catch(() => {
          // The loop ends.
        });
      }
    }
    this.#running = undefined;
  }
}
