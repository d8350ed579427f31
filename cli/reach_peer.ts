import { abortable } from "../core/abortable.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { PeerInfo } from "../sdk/mod.ts";
import type { PeerTarget } from "./peer_target.ts";

/** What reaching a peer needs of a session. */
export interface PeerConnector {
  readonly isOwn: boolean;
  readonly node: { connectPeer(peerId: string, addresses?: readonly string[]): Promise<PeerInfo> };
}

/** How long a daemon that has just started looks for a peer on the local network, in milliseconds. */
const SEARCH_LIMIT_MS = 10_000;
const SEARCH_POLL_MS = 250;

/**
 * Connects to a peer. A daemon that has just started, and has no address of the peer, is given time to find it. Throws
 * `unavailable` when the peer cannot be reached, and the reason of `signal`.
 */
export async function reachPeer(
  { node, isOwn }: PeerConnector,
  { peerId, addresses }: PeerTarget,
  { signal, clock = systemClock }: { signal: AbortSignal; clock?: Clock },
): Promise<PeerInfo> {
  const giveUpAtMs = clock.now() + SEARCH_LIMIT_MS;
  while (true) {
    try {
      return await abortable(node.connectPeer(peerId, addresses), signal);
    } catch (error) {
      const { code } = toCodedError(error);
      if (code !== "unavailable" && code !== "not_found") throw error;
      if (!isOwn || addresses.length > 0 || clock.now() >= giveUpAtMs) throw toUnreachable(error);
      await clock.sleep(SEARCH_POLL_MS, signal);
    }
  }
}

/** The SDK tells peers that cannot be reached as `not_found`; here they are `unavailable`, as a daemon is. */
export function toUnreachable(error: unknown): unknown {
  return error instanceof Error && error.name === "PeerNotFoundError"
    ? new CodedError("unavailable", error.message, { cause: error })
    : error;
}
