import type { Connection } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { isRelayed } from "./address_kind.ts";

/** Pause before the next address of the same kind is tried beside those under way (RFC 8305 has 250 ms). */
const STAGGER_MS = 250;
/** How long direct addresses are tried alone; a relay's round trips then run beside theirs. */
const DIRECT_HEAD_START_MS = 300;

/** The addresses of a peer in the order in which they are worth trying. */
export interface DialPlan {
  direct: readonly Multiaddr[];
  relayed: readonly Multiaddr[];
  /** Tried beside the relayed ones: they failed lately. */
  doubtful: readonly Multiaddr[];
}

/** How addresses are dialed, and until when. */
export interface DialRaceOptions {
  dial(address: Multiaddr, signal: AbortSignal): Promise<Connection>;
  signal: AbortSignal;
  /** Takes what goes on after the race: dials of direct addresses while a relayed connection is in use. */
  inBackground(work: Promise<void>): void;
}

/**
 * Dials the addresses of a plan, each a little after the one before or as soon as it failed, and resolves with the first
 * connection. Direct ones begin, relayed ones follow after 300 ms or when no direct one is left. What a direct winner leaves
 * unfinished is given up; beside a relayed winner the direct dials go on. Rejects with an `AggregateError` of all failures.
 */
export function raceDials(plan: DialPlan, options: DialRaceOptions): Promise<Connection> {
  return new DialRace(plan, options).run();
}

class DialRace {
  readonly #result = Promise.withResolvers<Connection>();
  readonly #errors: unknown[] = [];
  readonly #losers = new AbortController();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #left: number;
  #settled = false;

  constructor(readonly plan: DialPlan, readonly options: DialRaceOptions) {
    this.#left = plan.direct.length + plan.relayed.length + plan.doubtful.length;
  }

  async run(): Promise<Connection> {
    const { direct, relayed, doubtful } = this.plan;
    const { signal } = this.options;
    const onAbort = () => this.#stop(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const directDone = this.#runGroup(direct);
      const others = this.#after(directDone, direct.length === 0 ? 0 : DIRECT_HEAD_START_MS).then(() =>
        this.#settled ? undefined : Promise.all([this.#runGroup(relayed), this.#runGroup(doubtful)])
      );
      const all = Promise.all([directDone, others]).then(() => {});
      if (this.#left === 0) this.#result.reject(new AggregateError([], "no address to dial"));
      const connection = await this.#result.promise;
      this.options.inBackground(all);
      return connection;
    } finally {
      signal.removeEventListener("abort", onAbort);
      for (const timer of this.#timers) clearTimeout(timer);
    }
  }

  /** Starts one dial after the other; resolves when all have ended. */
  async #runGroup(addresses: readonly Multiaddr[]): Promise<void> {
    const running: Promise<void>[] = [];
    for (const address of addresses) {
      if (this.#settled) break;
      const dial = this.#dial(address);
      running.push(dial);
      await this.#after(dial, STAGGER_MS);
    }
    await Promise.all(running);
  }

  async #dial(address: Multiaddr): Promise<void> {
    try {
      const connection = await this.options.dial(address, this.#losers.signal);
      this.#settled = true;
      if (!isRelayed(connection.remoteAddr)) {
        this.#losers.abort(new Error("another address of the peer was faster"));
      }
      this.#result.resolve(connection);
    } catch (error) {
      this.#errors.push(error);
      if (--this.#left === 0) this.#result.reject(new AggregateError(this.#errors, "no address answers"));
    }
  }

  /** Resolves when `work` has ended, after `ms`, or when the race is decided. */
  #after(work: Promise<void>, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#timers.add(timer);
      const done = () => {
        clearTimeout(timer);
        this.#timers.delete(timer);
        resolve();
      };
      work.then(done);
      this.#result.promise.then(done, done);
    });
  }

  #stop(reason: unknown): void {
    this.#settled = true;
    this.#losers.abort(reason);
    this.#result.reject(reason);
  }
}
