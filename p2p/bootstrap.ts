import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Dialer } from "./dialer.ts";
import { parsePeerTarget, type PeerTarget } from "./peer_address.ts";

/** What keeping a bootstrap peer connected works with. */
export interface KeepConnectedDeps {
  dialer: Pick<Dialer, "connect">;
  /** Runs while the peer is connected; resolves when its last connection is gone, or when `signal` fires. */
  whileConnected(peerId: string, signal: AbortSignal): Promise<void>;
  /** A dial failed. */
  onUnreachable?(peerId: string, error: unknown): void;
  logger: Logger;
  /** Default the wall clock. */
  clock?: Clock;
  /** From 0 to below 1. Default `Math.random`. */
  random?: () => number;
}

/** Whom to keep connected, how long to wait between two dials, and until when. */
export interface KeepConnectedOptions {
  target: PeerTarget;
  /** Asked after each failure and each loss. */
  delays(): { minMs: number; maxMs: number };
  signal: AbortSignal;
}

/**
 * Reads bootstrap multiaddrs, those of one peer taken together. Throws `invalid_argument` unless each ends in
 * `/p2p/<peer id>`.
 */
export function toBootstrapTargets(addresses: readonly string[]): PeerTarget[] {
  const targets = new Map<string, PeerTarget>();
  for (const address of addresses) {
    const target = parseBootstrap(address);
    const known = targets.get(target.peerId);
    if (known === undefined) targets.set(target.peerId, target);
    else known.addresses.push(...target.addresses);
  }
  return [...targets.values()];
}

/**
 * Keeps one peer connected until `signal` fires: dials it whenever it is not, after a pause that doubles with each
 * failure and is drawn at random from its upper half, so that many nodes do not come back at the same moment. Never
 * rejects.
 */
export async function keepConnected(deps: KeepConnectedDeps, options: KeepConnectedOptions): Promise<void> {
  const { clock = systemClock, random = Math.random } = deps;
  const { target, delays, signal } = options;
  let delayMs = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await deps.dialer.connect(target.peerId, target.addresses, { foundBy: "bootstrap", signal });
      delayMs = failures = 0;
      await deps.whileConnected(target.peerId, signal);
    } catch (error) {
      if (signal.aborted) return;
      deps.onUnreachable?.(target.peerId, error);
      const log = failures++ === 0 ? deps.logger.warn : deps.logger.debug;
      log("Could not reach a bootstrap peer, will try again", {
        peerId: target.peerId,
        reason: errorMessage(error),
      });
    }
    const { minMs, maxMs } = delays();
    delayMs = Math.min(maxMs, Math.max(minMs, delayMs * 2));
    try {
      await clock.sleep(delayMs * (0.5 + random() / 2), signal);
    } catch {
      return; // Only the signal ends the pause early.
    }
  }
}

function parseBootstrap(address: string): PeerTarget {
  let target: PeerTarget | undefined;
  let reason = "an address is needed beside the peer id";
  try {
    target = parsePeerTarget(address);
  } catch (error) {
    reason = errorMessage(error);
  }
  if (target !== undefined && target.addresses.length > 0) return target;
  throw new CodedError(
    "invalid_argument",
    `Could not use ${JSON.stringify(address)} as a bootstrap peer: ${reason}`,
  );
}
