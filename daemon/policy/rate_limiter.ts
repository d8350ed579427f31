import type { Clock } from "../../core/clock.ts";

/** A bucket from which each request takes one. */
interface Bucket {
  tokens: number;
  /** In milliseconds since the Unix epoch. */
  filledAtMs: number;
}

/** Most senders that are remembered; beyond that the one heard of longest ago is forgotten. */
const MAX_BUCKETS = 10_000;

/** Lets so much pass a second for each sender, and so much at once, with a memory of fixed size. */
export class RateLimiter {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 when a request of `key` may pass, which then counts; else after how many milliseconds one may. */
  take(key: string, { rps, burst }: { rps: number; burst: number }): number {
    if (rps <= 0) return 0;
    const nowMs = this.#clock.now();
    const bucket = this.#buckets.get(key) ?? { tokens: burst, filledAtMs: nowMs };
    const earned = Math.max(0, nowMs - bucket.filledAtMs) / 1000 * rps;
    const tokens = Math.min(burst, bucket.tokens + earned);
    const passes = tokens >= 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: passes ? tokens - 1 : tokens, filledAtMs: nowMs });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_BUCKETS) break;
      this.#buckets.delete(oldest);
    }
    return passes ? 0 : Math.max(1, Math.ceil((1 - tokens) / rps * 1000));
  }
}
