import type { Logger } from "../core/log.ts";

/**
 * Logs promises that are rejected without anybody waiting for them, instead of letting one end the process: a library's
 * slip on one connection must not take all others down. Disposing it ends that.
 */
export function logUnhandledRejections(logger: Logger): Disposable {
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    const { reason } = event;
    logger.error("A failure nobody waited for", { error: reason, stack: reason?.stack });
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  return { [Symbol.dispose]: () => globalThis.removeEventListener("unhandledrejection", onRejection) };
}
