import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Registry } from "./registry.ts";

/** What sweeping works with. */
export interface SweeperDeps {
  readonly registry: Pick<Registry, "sweep">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Cleans the registry up again and again until it is disposed. */
export class Sweeper implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor({ registry, clock, logger }: SweeperDeps, { everyMs }: { everyMs: number }) {
    this.#running = (async () => {
      while (!this.#stop.signal.aborted) {
        try {
          await clock.sleep(everyMs, this.#stop.signal);
        } catch {
          return; // Only the signal ends the pause early.
        }
        try {
          await registry.sweep();
        } catch (error) {
          logger.error("The registry could not be cleaned up, will try again", { error });
        }
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
