import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";

/** How often the interfaces are looked at. */
const LOOK_MS = 3_000;

/** What watching the network works with. */
export interface NetworkWatchDeps {
  /** Addresses of this machine's interfaces, in any order. */
  addresses(): readonly string[];
  /** They are others than before. */
  onChange(): void;
  clock: Clock;
  logger: Logger;
}

/** Notices when this machine has come to another network: its addresses are others. */
export class NetworkWatch {
  readonly #deps: NetworkWatchDeps;

  constructor(deps: NetworkWatchDeps) {
    this.#deps = deps;
  }

  /** Looks every 3 s until `signal` fires; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, onChange } = this.#deps;
    try {
      let known = this.#look();
      for (;;) {
        await clock.sleep(LOOK_MS, signal);
        const seen = this.#look();
        if (seen === known) continue;
        known = seen;
        logger.info("The addresses of this machine have changed", { addresses: seen });
        onChange();
      }
    } catch (error) {
      if (!signal.aborted) logger.warn("Changes of the network are noticed no more", { error });
    }
  }

  #look(): string {
    return [...new Set(this.#deps.addresses())].toSorted().join(", ");
  }
}
