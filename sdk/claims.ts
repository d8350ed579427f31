import { type Clock, systemClock } from "../core/clock.ts";
import { AgentAnycastError } from "./errors.ts";

/** Claims renewed with one call. */
const MAX_CLAIMS = 1_000;

/** A task that is worked on under a claim. */
export interface ClaimedTask {
  readonly taskId: string;
  readonly claimId: string;
  /** Whether it needs no claim any more. */
  readonly settled: boolean;
  abort(reason: unknown): void;
}

export interface ClaimsDeps<T> {
  /** Lengthens claims; answers those that are over. */
  readonly renew: (claimIds: readonly string[], signal: AbortSignal) => Promise<readonly string[]>;
  /** The task is over, or another worker has it; its handler has been told. */
  readonly onLost: (task: T) => void;
  readonly clock?: Clock;
}

/** Keeps the claims of a node on its tasks for as long as they are worked on; each third of the lease they are renewed. */
export class Claims<T extends ClaimedTask> {
  readonly #deps: Required<ClaimsDeps<T>>;
  readonly #signal: AbortSignal;
  readonly #held = new Set<T>();
  #leaseMs = Infinity;
  #running: Promise<void> | undefined;

  /** @param signal fires when the node stops. */
  constructor(deps: ClaimsDeps<T>, signal: AbortSignal) {
    this.#deps = { clock: systemClock, ...deps };
    this.#signal = signal;
  }

  /** Keeps the claim of `task` until that is settled, released or lost. */
  hold(task: T, leaseMs: number): void {
    this.#held.add(task);
    this.#leaseMs = Math.max(leaseMs, 3);
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  release(task: T): void {
    this.#held.delete(task);
  }

  /** Renews all claims now; a daemon that cannot be reached is asked again later. */
  async renew(): Promise<void> {
    const held = [...this.#held].filter((task) => !task.settled);
    for (const task of this.#held) if (task.settled) this.#held.delete(task);
    for (let i = 0; i < held.length; i += MAX_CLAIMS) {
      const claimIds = held.slice(i, i + MAX_CLAIMS).map(({ claimId }) => claimId);
      try {
        this.#lose(await this.#deps.renew(claimIds, this.#signal));
      } catch {
        return; // The daemon is away, and its clock for claims with it; it says what is lost when it is back.
      }
    }
  }

  /** Resolves when nothing is renewed any more. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    while (this.#held.size > 0 && !this.#signal.aborted) {
      await clock.sleep(this.#leaseMs / 3, this.#signal).catch(
        () => {/* the node stops: so does the loop */},
      );
      if (!this.#signal.aborted) await this.renew();
    }
  }

  #lose(claimIds: readonly string[]): void {
    const lost = new Set(claimIds);
    for (const task of this.#held) {
      if (!lost.has(task.claimId)) continue; // it may have got a new one meanwhile
      this.#held.delete(task);
      if (task.settled) continue;
      task.abort(
        new AgentAnycastError("aborted", `Task ${task.taskId} is over, or another worker has taken it over`),
      );
      this.#deps.onLost(task);
    }
  }
}
