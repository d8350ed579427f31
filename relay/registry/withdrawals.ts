import type { SignedRegistryRecord } from "../../identity/mod.ts";

/** That a peer is not registered any more: to be told to other relays, and kept so that what is old does not come back. */
export interface Withdrawal {
  readonly peerId: string;
  /** Whether the peer itself took back what it said; else a relay says that it has gone. */
  readonly byPeer: boolean;
  /** The last record of the peer: the one by which it took back what it said, or the one that was not renewed. */
  readonly signed: SignedRegistryRecord | undefined;
  /** Sequence of that record; 0 without one. */
  readonly sequence: number;
  /** The relay that the peer was registered with. */
  readonly origin: string;
  readonly version: bigint;
  /** Relays it has come through, the origin first; empty when it comes from here. */
  readonly path: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly keepUntilMs: number;
}

/** The last withdrawal of each peer, the oldest ones forgotten when there are too many. */
export class Withdrawals {
  readonly #byPeer = new Map<string, Withdrawal>();

  constructor(readonly maxCount: number) {}

  get size(): number {
    return this.#byPeer.size;
  }

  get(peerId: string): Withdrawal | undefined {
    return this.#byPeer.get(peerId);
  }

  values(): IterableIterator<Withdrawal> {
    return this.#byPeer.values();
  }

  /** Notes one; answers the peers that had to be forgotten for it. A peer's own word is kept when a relay's comes later. */
  put(withdrawal: Withdrawal): string[] {
    const before = this.#byPeer.get(withdrawal.peerId);
    this.#byPeer.delete(withdrawal.peerId);
    this.#byPeer.set(withdrawal.peerId, withOwnWord(withdrawal, before));
    const forgotten: string[] = [];
    for (const peerId of this.#byPeer.keys()) {
      if (this.#byPeer.size <= this.maxCount) break;
      this.#byPeer.delete(peerId);
      forgotten.push(peerId);
    }
    return forgotten;
  }

  /** Whether there was one. */
  delete(peerId: string): boolean {
    return this.#byPeer.delete(peerId);
  }
}

function withOwnWord(withdrawal: Withdrawal, before: Withdrawal | undefined): Withdrawal {
  if (before === undefined || before.sequence <= withdrawal.sequence) return withdrawal;
  const { byPeer, signed, sequence, keepUntilMs } = before;
  return {
    ...withdrawal,
    byPeer,
    signed,
    sequence,
    keepUntilMs: Math.max(keepUntilMs, withdrawal.keepUntilMs),
  };
}
