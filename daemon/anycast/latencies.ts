import { type Clock, systemClock } from "../../core/clock.ts";

export interface LatenciesDeps {
  /** Round trip to a peer in milliseconds; throws when it cannot be reached. */
  ping(peerId: string, options: { signal: AbortSignal }): Promise<number>;
  clock?: Clock;
}

/** How long a measurement holds, and how long one may take. */
const FRESH_MS = 60_000;
const LIMIT_MS = 1_000;
/** Peers measured at once, and peers remembered. */
const MAX_RUNNING = 8;
const MAX_PEERS = 1_000;

interface Measured {
  readonly ms: number;
  readonly atMs: number;
}

/** Round trips to peers, measured when they are asked for. */
export class Latencies {
  readonly #deps: LatenciesDeps;
  readonly #clock: Clock;
  readonly #measured = new Map<string, Measured>();
  readonly #running = new Map<string, Promise<number>>();

  constructor(deps: LatenciesDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
  }

  /** Milliseconds; `Infinity` for a peer that does not answer, or is not measured now since too many others are. */
  of(peerId: string): Promise<number> {
    const known = this.#measured.get(peerId);
    if (known !== undefined && this.#clock.now() - known.atMs < FRESH_MS) return Promise.resolve(known.ms);
    const running = this.#running.get(peerId);
    if (running !== undefined) return running;
    if (this.#running.size >= MAX_RUNNING) return Promise.resolve(known?.ms ?? Infinity);
    const measuring = this.#measure(peerId).finally(() => this.#running.delete(peerId));
    this.#running.set(peerId, measuring);
    return measuring;
  }

  async #measure(peerId: string): Promise<number> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), LIMIT_MS);
    let ms = Infinity;
    try {
      ms = await this.#deps.ping(peerId, { signal: over.signal });
    } catch {
      // It cannot be reached: it comes last until it is measured again.
    } finally {
      clearTimeout(timer);
    }
    this.#measured.delete(peerId);
    this.#measured.set(peerId, { ms, atMs: this.#clock.now() });
    const [oldest] = this.#measured.keys();
    if (this.#measured.size > MAX_PEERS && oldest !== undefined) this.#measured.delete(oldest);
    return ms;
  }
}
