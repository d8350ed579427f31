import type { Clock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { EnvelopeTransport } from "./ports.ts";

/** A peer that is not reached within this time is not waited for alone. */
const HEAD_START_MS = 1_000;
/** Peers tried in one go. */
const MAX_TRIED = 16;

/** Who was reached. */
export interface Reached {
  /** Undefined: nobody. */
  readonly peerId: string | undefined;
  /** Peers that could not be reached. */
  readonly unreachable: readonly string[];
  /** Why; empty when somebody was reached or nobody tried. */
  readonly reason: string;
}

/**
 * Connects to the first of `peerIds` that can be reached. Each has a head start of a second over the next one, or until it
 * fails; so a peer that does not answer costs a second and not its whole dial.
 */
export async function reachFirst(
  deps: { transport: Pick<EnvelopeTransport, "connect">; clock: Clock; signal: AbortSignal },
  peerIds: readonly string[],
): Promise<Reached> {
  const { transport, clock } = deps;
  const over = new AbortController();
  const signal = AbortSignal.any([deps.signal, over.signal]);
  const unreachable: string[] = [];
  const reasons: string[] = [];
  const left = peerIds.slice(0, MAX_TRIED);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let running = 0;
  const next = () => {
    const peerId = left.shift();
    if (peerId === undefined || signal.aborted) return void (running === 0 && resolve(undefined));
    running++;
    transport.connect(peerId, { signal }).then(() => resolve(peerId), (error) => {
      running--;
      if (!over.signal.aborted) {
        unreachable.push(peerId);
        reasons.push(errorMessage(error));
      }
      next();
    });
    clock.sleep(HEAD_START_MS, signal).then(next, () => {
      // Somebody was reached, or it is over.
    });
  };
  next();
  const peerId = await promise;
  over.abort();
  return { peerId, unreachable: [...unreachable], reason: peerId === undefined ? reasons.join("; ") : "" };
}
