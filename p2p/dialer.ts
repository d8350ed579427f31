import type { Libp2p } from "@libp2p/interface";
import { CodedError, errorMessage, toCodedError } from "../core/errors.ts";
import { withDeadline } from "./deadline.ts";
import { toPeerAddress, toPeerId } from "./peer_address.ts";
import type { PeerMemory } from "./peer_memory.ts";
import type { FoundBy, PeerConnection, PeerTable } from "./peers.ts";

/** Reasons and addresses that an error names; the rest is counted. */
const MAX_NAMED = 5;

/** What a dialer works with. */
export interface DialerDeps {
  libp2p: Libp2p;
  peers: PeerTable;
  memory: PeerMemory;
  /** Longest time for one call. */
  dialTimeoutMs: number;
}

/** Who asks, and until when. */
export interface DialOptions {
  foundBy: FoundBy;
  signal?: AbortSignal | undefined;
}

/** Opens connections and says in full why one could not be opened. */
export class Dialer {
  constructor(readonly deps: DialerDeps) {}

  /**
   * Connects to `peerId` at `addresses`, or where it is known to be when there are none. Throws `invalid_argument`
   * (own id, malformed, or an address that names another peer), `unavailable`, and what `signal` says.
   */
  async connect(
    peerId: string,
    addresses: readonly string[],
    { foundBy, signal }: DialOptions,
  ): Promise<PeerConnection> {
    const { libp2p, peers, memory, dialTimeoutMs } = this.deps;
    const target = toPeerId(peerId);
    if (target.equals(libp2p.peerId)) {
      throw new CodedError("invalid_argument", `Could not connect to ${peerId}: that is this node's own id`);
    }
    const given = addresses.map((address) => toPeerAddress(address, peerId));
    const connected = peers.get(peerId);
    if (connected !== undefined) return connected;
    try {
      await withDeadline(
        { timeoutMs: dialTimeoutMs, signal },
        (deadline) =>
          peers.whileDialing(
            peerId,
            foundBy,
            () => libp2p.dial(given.length === 0 ? target : given, { signal: deadline }),
          ),
      );
    } catch (cause) {
      if (signal?.aborted) throw abortedBy(signal);
      const tried = given.length === 0 ? await this.#known(peerId) : given.map(String);
      throw unreachable(peerId, tried, cause);
    } finally {
      await memory.touch(peerId);
    }
    const peer = peers.get(peerId);
    if (peer === undefined) {
      throw unreachable(peerId, given.map(String), "the peer closed the connection at once");
    }
    return peer;
  }

  async #known(peerId: string): Promise<string[]> {
    try {
      const { addresses } = await this.deps.libp2p.peerStore.get(toPeerId(peerId));
      return addresses.map((address) => address.multiaddr.toString());
    } catch {
      return []; // The peer store throws for a peer of which it knows nothing.
    }
  }
}

/** The error for a call whose own signal fired. */
export function abortedBy(signal: AbortSignal): CodedError {
  const coded = toCodedError(signal.reason);
  return coded.code === "internal"
    ? new CodedError("cancelled", "The call was cancelled", { cause: signal.reason })
    : coded;
}

function unreachable(peerId: string, tried: readonly string[], cause: unknown): CodedError {
  if (tried.length === 0) {
    return new CodedError(
      "unavailable",
      `Could not connect to ${peerId}: none of its addresses is known; pass one, or wait until the peer is discovered`,
      { cause },
    );
  }
  return new CodedError(
    "unavailable",
    `Could not connect to ${peerId}: tried ${named(tried)}: ${named(reasons(cause))}; ` +
      `check that the peer runs, that the address is its current one and that no firewall is between`,
    { cause },
  );
}

function reasons(cause: unknown): string[] {
  if (cause instanceof AggregateError) return [...new Set(cause.errors.flatMap(reasons))];
  return [errorMessage(cause)];
}

function named(texts: readonly string[]): string {
  const rest = texts.length - MAX_NAMED;
  return texts.slice(0, MAX_NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
