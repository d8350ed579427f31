import { startTimer } from "../core/clock.ts";
import { type DaemonClient, persist } from "./daemon_client.ts";
import { AgentAnycastError, toAgentAnycastError } from "./errors.ts";

/** How long a call may take. */
export interface CallOptions {
  /** Calls it off: it then throws `cancelled`. */
  signal?: AbortSignal | undefined;
  /** Throws `deadline_exceeded` after this many milliseconds. Default: a minute for each time that the daemon is asked. */
  timeoutMs?: number | undefined;
}

/**
 * What `work`, which may be done twice, makes of a daemon; again when the connection is lost meanwhile. Throws
 * `DaemonConnectionError` when the daemon stays away for `reconnectMs`, as `options` say, or what `work` throws.
 */
export async function ask<T>(
  daemon: DaemonClient,
  work: (daemon: DaemonClient, signal: AbortSignal) => Promise<T>,
  { signal, timeoutMs, reconnectMs }: CallOptions & { readonly reconnectMs: number },
): Promise<T> {
  const limit = new AbortController();
  let expired: AgentAnycastError | undefined;
  const expire = () => {
    expired = new AgentAnycastError("deadline_exceeded", `No answer within ${timeoutMs} ms`);
    limit.abort(expired);
  };
  const onAbort = () => limit.abort(signal?.reason);
  const timer = timeoutMs === undefined ? undefined : startTimer(daemon.clock, timeoutMs, expire);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    return await persist(() => work(daemon, limit.signal), { reconnectMs, signal: limit.signal });
  } catch (error) {
    if (expired !== undefined) throw expired;
    if (!limit.signal.aborted) throw error;
    const known = toAgentAnycastError(error);
    throw known.code === "cancelled"
      ? known
      : new AgentAnycastError("cancelled", "The call was called off", { cause: signal?.reason });
  } finally {
    timer?.[Symbol.dispose]();
    signal?.removeEventListener("abort", onAbort);
  }
}
