/** Time as the engine sees it, so that tests can move it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `delayMs`, or rejects with the reason of `signal` when that fires first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Longest delay of one timer: the system fires longer ones at once. In milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** The wall clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = startSystemTimer(delayMs, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      const onAbort = () => {
        timer[Symbol.dispose]();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};

/** Calls `work` after `delayMs`, however long that is, unless what it returns is disposed before. */
export function startTimer(clock: Clock, delayMs: number, work: () => void): Disposable {
  if (clock === systemClock) return startSystemTimer(delayMs, work); // without the cost of a promise
  const over = new AbortController();
  clock.sleep(delayMs, over.signal).then(work, () => {
    // Disposed: there is nothing to do any more.
  });
  return { [Symbol.dispose]: () => over.abort() };
}

function startSystemTimer(delayMs: number, work: () => void): Disposable {
  let leftMs = delayMs;
  let timer: ReturnType<typeof setTimeout>;
  const wait = () => {
    const stepMs = Math.min(leftMs, MAX_TIMER_MS);
    leftMs -= stepMs;
    timer = setTimeout(leftMs > 0 ? wait : work, stepMs);
  };
  wait();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
