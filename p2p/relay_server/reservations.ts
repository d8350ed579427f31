import { addressBlock } from "../../core/address_block.ts";
import type { RelayLimits } from "./relay_limits.ts";

/** A limit of a relay by the name of its setting. */
export type RelayLimitName = keyof RelayLimits;

interface Reservation {
  readonly block: string;
  readonly expiresAtMs: number;
}

/** Who has a place at the relay. It has no timers: what has expired counts no more and goes when somebody asks. */
export class Reservations {
  readonly #byPeer = new Map<string, Reservation>();

  constructor(readonly limits: RelayLimits, readonly now: () => number) {}

  get size(): number {
    this.#dropExpired();
    return this.#byPeer.size;
  }

  has(peerId: string): boolean {
    const reservation = this.#byPeer.get(peerId);
    return reservation !== undefined && reservation.expiresAtMs > this.now();
  }

  /** Grants or renews a place; answers when it expires, or the limit that does not allow it. */
  reserve(peerId: string, ip: string): { expiresAtMs: number } | { limit: RelayLimitName } {
    this.#dropExpired();
    const { maxReservations, maxReservationsPerIp, reservationTtlMs } = this.limits;
    const block = addressBlock(ip);
    if (!this.#byPeer.has(peerId)) {
      if (this.#byPeer.size >= maxReservations) return { limit: "maxReservations" };
      const fromIp = [...this.#byPeer.values()].filter((one) => one.block === block).length;
      if (!isLoopback(ip) && fromIp >= maxReservationsPerIp) return { limit: "maxReservationsPerIp" };
    }
    const expiresAtMs = this.now() + reservationTtlMs;
    this.#byPeer.set(peerId, { block, expiresAtMs });
    return { expiresAtMs };
  }

  /** Gives up the place of a peer. */
  delete(peerId: string): void {
    this.#byPeer.delete(peerId);
  }

  #dropExpired(): void {
    const nowMs = this.now();
    for (const [peerId, { expiresAtMs }] of this.#byPeer) {
      if (expiresAtMs <= nowMs) this.#byPeer.delete(peerId);
    }
  }
}

function isLoopback(ip: string): boolean {
  return ip === "::1" || ip.startsWith("127.");
}
