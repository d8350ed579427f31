import { abortable } from "../core/abortable.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { RunningDaemon } from "./daemon_process.ts";
import { type AgentAnycastError, DaemonStartError, toAgentAnycastError } from "./errors.ts";
import { Outage } from "./outage.ts";

/** A daemon that ends sooner than this has not really come back. */
const STEADY_MS = 10_000;
/** Daemons in a row that do not last, after which no further one is started. */
const MAX_SHORT_LIVED = 10;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;

/** What keeps a daemon: real ones, or fakes in tests. */
export interface KeptDaemonDeps {
  /** Joins the daemon of the home or starts one. */
  readonly open: (signal: AbortSignal) => Promise<RunningDaemon>;
  /** Whether the home's daemon answers; asked over the connection whose loss is told. */
  readonly isThere: () => Promise<boolean>;
  /** The daemon is gone and started again from now on; `how` it ended. */
  readonly onGone: (how: string) => void;
  /** A daemon answers again. */
  readonly onBack: (daemon: RunningDaemon) => void;
  /** There will be no daemon. */
  readonly onFailure: (error: AgentAnycastError) => void;
  readonly clock?: Clock;
}

/**
 * Sees to it that the home has a daemon until it is stopped: one that dies, whoever had started it, is replaced at once; one that
 * keeps dying is replaced after longer and longer pauses. Gives up when there is none for `limitMs`, or ten in a row did not last.
 */
export class KeptDaemon {
  readonly #deps: KeptDaemonDeps & { readonly clock: Clock };
  readonly #limitMs: number;
  readonly #stopping = new AbortController();
  readonly #kept: Promise<void>;
  #daemon: RunningDaemon;
  #isLost = false;
  #onLost: () => void = () => {};

  constructor(daemon: RunningDaemon, deps: KeptDaemonDeps, { limitMs }: { limitMs: number }) {
    this.#daemon = daemon;
    this.#deps = { clock: systemClock, ...deps };
    this.#limitMs = limitMs;
    this.#kept = this.#keep();
  }

  /** The connection to the daemon is lost: the daemon may be gone. */
  connectionLost(): void {
    this.#isLost = true;
    this.#onLost();
  }

  /** Starts no daemon any more. */
  letGo(): void {
    this.#stopping.abort();
  }

  /** Comes back when a daemon that was started here is down; another, and one that others share, is left alone. */
  async stop({ isShared = false }: { isShared?: boolean } = {}): Promise<void> {
    this.#stopping.abort();
    await this.#kept;
    const { stop, leave = stop } = this.#daemon;
    await (isShared ? leave : stop)();
  }

  async #keep(): Promise<void> {
    const { clock, onGone, onBack, onFailure } = this.#deps;
    const { signal } = this.#stopping;
    let shortLived = 0;
    try {
      while (true) {
        const sinceMs = clock.now();
        const how = await abortable(this.#ended(), signal);
        shortLived = clock.now() - sinceMs < STEADY_MS ? shortLived + 1 : 0;
        onGone(how);
        if (shortLived > MAX_SHORT_LIVED) {
          throw new DaemonStartError(
            `The daemon has ended ${shortLived} times in a row (${how}): see its log`,
          );
        }
        if (shortLived > 1) {
          await clock.sleep(Math.min(FIRST_DELAY_MS * 2 ** (shortLived - 2), MAX_DELAY_MS), signal);
        }
        this.#daemon = await this.#reopen(how);
        onBack(this.#daemon);
      }
    } catch (error) {
      if (!signal.aborted) onFailure(toAgentAnycastError(error));
    }
  }

  /** How the daemon ended, once it has. One that was joined tells by its connections. */
  async #ended(): Promise<string> {
    const { ended } = this.#daemon;
    if (ended !== undefined) return await ended;
    while (true) {
      while (!this.#isLost) {
        await abortable(new Promise<void>((resolve) => this.#onLost = resolve), this.#stopping.signal);
      }
      this.#isLost = false;
      if (!await this.#deps.isThere()) return "it does not answer any more";
    }
  }

  async #reopen(how: string): Promise<RunningDaemon> {
    const { open, clock } = this.#deps;
    const { signal } = this.#stopping;
    const outage = new Outage(this.#limitMs, clock);
    while (true) {
      try {
        return await open(signal);
      } catch (error) {
        if (signal.aborted) throw error;
        await outage.pause(error, signal).catch((gone) => {
          if (signal.aborted) throw gone;
          throw new DaemonStartError(
            `The daemon is gone (${how}) and could not be started again: ${errorMessage(error)}`,
            { cause: error },
          );
        });
      }
    }
  }
}
