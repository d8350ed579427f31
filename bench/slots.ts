/** What a stretch of work looked like: how long each round trip took, and all of them together, in milliseconds. */
export interface Stretch {
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
}

/** What a stretch comes down to. */
export interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}

/** Repeats `work` for `durationMs` in `inFlight` slots at once; what has begun by then is waited for. */
export async function runSlots(
  work: (slot: number) => Promise<void>,
  options: { inFlight: number; durationMs: number },
): Promise<Stretch> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + options.durationMs;
  await Promise.all(Array.from({ length: options.inFlight }, async (_, slot) => {
    for (let sentMs = performance.now(); sentMs < endMs; sentMs = performance.now()) {
      await work(slot);
      latenciesMs.push(performance.now() - sentMs);
    }
  }));
  return { latenciesMs, elapsedMs: performance.now() - startMs };
}

/** Percentiles (nearest rank) and rate of a stretch. */
export function toFigures({ latenciesMs, elapsedMs }: Stretch): Figures {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
  return { p50Ms: rank(0.5), p99Ms: rank(0.99), perSecond: sorted.length / elapsedMs * 1000 };
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[sorted.length / 2 - 1] ?? NaN) + upper) / 2;
}

/** The median of each figure over several rounds. */
export function medianFigures(rounds: readonly Figures[]): Figures {
  return {
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  };
}
