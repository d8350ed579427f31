import { CodedError } from "../core/errors.ts";

/** How much may wait for delivery. */
export interface OutboxRoomLimits {
  /** Envelopes to one peer. Default 20,000. */
  maxPerPeer: number;
  /** Envelopes in all. Default 100,000. */
  maxTotal: number;
  /** Bytes to one peer. Default 256 MiB. */
  maxBytesPerPeer: number;
  /** Bytes in all. Default 1 GiB. */
  maxBytesTotal: number;
}

const MIB = 1024 * 1024;

interface Load {
  readonly count: number;
  readonly bytes: number;
}

const NOTHING: Load = { count: 0, bytes: 0 };

/** Counts what waits for delivery. */
export class OutboxRoom {
  readonly #limits: OutboxRoomLimits;
  readonly #byPeer = new Map<string, Load>();
  #total: Load = NOTHING;

  constructor(limits: Partial<OutboxRoomLimits> = {}) {
    this.#limits = {
      maxPerPeer: 20_000,
      maxTotal: 100_000,
      maxBytesPerPeer: 256 * MIB,
      maxBytesTotal: 1024 * MIB,
      ...limits,
    };
  }

  /**
   * Counts one more envelope of this node's own making, or refuses it. Reports on received tasks, of which there is a bounded
   * number, may fill twice as much. @throws CodedError `resource_exhausted`.
   */
  take(peerId: string, bytes: number, options: { share?: 1 | 2 } = {}): void {
    const { share = 1 } = options;
    const { maxPerPeer, maxTotal, maxBytesPerPeer, maxBytesTotal } = this.#limits;
    const peer = this.#byPeer.get(peerId) ?? NOTHING;
    const fits = peer.count < maxPerPeer * share && this.#total.count < maxTotal * share &&
      peer.bytes + bytes <= maxBytesPerPeer * share && this.#total.bytes + bytes <= maxBytesTotal * share;
    if (fits) return this.add(peerId, { count: 1, bytes });
    throw new CodedError(
      "resource_exhausted",
      `Cannot queue more for ${peerId}: ${peer.count} envelopes (${peer.bytes} bytes) wait for it and ` +
        `${this.#total.count} (${this.#total.bytes} bytes) in all; try again when it has been reached`,
    );
  }

  add(peerId: string, load: Load): void {
    this.#change(peerId, load, 1);
  }

  remove(peerId: string, load: Load): void {
    this.#change(peerId, load, -1);
  }

  /** What waits for all peers. */
  get total(): Load {
    return this.#total;
  }

  #change(peerId: string, { count, bytes }: Load, sign: 1 | -1): void {
    const before = this.#byPeer.get(peerId) ?? NOTHING;
    const sum = { count: before.count + sign * count, bytes: before.bytes + sign * bytes };
    const after = sum.count > 0 ? sum : NOTHING;
    if (after === NOTHING) this.#byPeer.delete(peerId);
    else this.#byPeer.set(peerId, after);
    this.#total = {
      count: this.#total.count + after.count - before.count,
      bytes: this.#total.bytes + after.bytes - before.bytes,
    };
  }
}
