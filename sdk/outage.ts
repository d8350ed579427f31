import { type Clock, systemClock } from "../core/clock.ts";
import { DaemonConnectionError } from "./errors.ts";

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 2_000;

/** Paces the attempts to reach a daemon that has gone, and ends them after `limitMs` without success. */
export class Outage {
  #sinceMs: number | undefined;
  #delayMs = FIRST_DELAY_MS;

  constructor(readonly limitMs: number, readonly clock: Clock = systemClock) {}

  /** The daemon answered. */
  over(): void {
    this.#sinceMs = undefined;
    this.#delayMs = FIRST_DELAY_MS;
  }

  /** Waits before the next attempt. Throws {@link DaemonConnectionError} once the daemon is gone for too long. */
  async pause(cause: unknown, signal: AbortSignal): Promise<void> {
    const now = this.clock.now();
    this.#sinceMs ??= now;
    const leftMs = this.#sinceMs + this.limitMs - now;
    if (leftMs <= 0) {
      throw new DaemonConnectionError(`The daemon has been gone for ${this.limitMs} ms: is it running?`, {
        cause,
      });
    }
    // Spread out, so that the clients of a daemon that comes back do not come all at once.
    const delayMs = this.#delayMs * (0.5 + Math.random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS);
    await this.clock.sleep(Math.min(delayMs, leftMs), signal);
  }
}
