/** How long `work` may take; with `signal` it also ends when the caller gives up. */
export interface DeadlineOptions {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Runs `work` with a signal that fires after `timeoutMs` (reason: a `TimeoutError`) or with the caller's signal; work
 * that fails then fails with that reason. `renew` starts the time anew. No timer or listener outlives the work.
 */
export async function withDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal, renew: () => void) => Promise<T>,
): Promise<T> {
  const { timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  const onTimeout = () =>
    controller.abort(new DOMException(`No answer within ${timeoutMs} ms`, "TimeoutError"));
  signal?.addEventListener("abort", onAbort, { once: true });
  let timer = setTimeout(onTimeout, timeoutMs);
  const renew = () => {
    clearTimeout(timer);
    if (!controller.signal.aborted) timer = setTimeout(onTimeout, timeoutMs);
  };
  try {
    return await work(controller.signal, renew);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
