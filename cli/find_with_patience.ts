import { type Clock, systemClock } from "../core/clock.ts";
import { toCodedError } from "../core/errors.ts";

/** How long a daemon that has just started gets to know the network, in milliseconds. */
const PATIENCE_MS = 8_000;
const PAUSE_MS = 250;

/** Calls `find` until it finds somebody; a daemon that belongs to this call has just started and is given time. */
export async function findWithPatience<T>(
  { isOwn }: { readonly isOwn: boolean },
  find: () => Promise<T>,
  { signal, clock = systemClock }: { signal: AbortSignal; clock?: Clock },
): Promise<T> {
  const giveUpAtMs = clock.now() + PATIENCE_MS;
  while (true) {
    try {
      return await find();
    } catch (error) {
      const { code } = toCodedError(error);
      const isMissing = code === "not_found" || code === "unavailable";
      if (!isOwn || !isMissing || clock.now() >= giveUpAtMs) throw error;
      await clock.sleep(PAUSE_MS, signal);
    }
  }
}
