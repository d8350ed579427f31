/** Time as the engine sees it, so that tests can move it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `delayMs`, or rejects with the reason of `signal` when that fires first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The wall clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};

/** Calls `work` after `delayMs`, unless what it returns is disposed before. */
export function startTimer(clock: Clock, delayMs: number, work: () => void): Disposable {
  if (clock === systemClock) { // without the cost of a promise
    const timer = setTimeout(work, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
  const over = new AbortController();
  clock.sleep(delayMs, over.signal).then(work, () => {
    // Disposed: there is nothing to do any more.
  });
  return { [Symbol.dispose]: () => over.abort() };
}
