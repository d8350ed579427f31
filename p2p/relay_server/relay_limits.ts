/** What a relay grants. Each has a default that {@link resolveRelayLimits} fills in. */
export interface RelayLimits {
  /** Peers with a reservation. Default 128. */
  maxReservations: number;
  /** Of them, from one address (one /64 of IPv6); loopback is not counted. Default 16. */
  maxReservationsPerIp: number;
  /** How long a reservation lasts, in milliseconds. Default 1 h. */
  reservationTtlMs: number;
  /** Circuits open at once. Default 1,024. */
  maxCircuits: number;
  /** Of them, those that one peer is an end of. Default 64. */
  maxCircuitsPerPeer: number;
  /** How long a circuit may be open, in milliseconds. Default 30 min. */
  circuitDurationMs: number;
  /** Bytes that a circuit carries in each direction. Default 128 MiB. */
  circuitBytes: number;
}

const DEFAULT_RELAY_LIMITS: RelayLimits = {
  maxReservations: 128,
  maxReservationsPerIp: 16,
  reservationTtlMs: 60 * 60 * 1000,
  maxCircuits: 1_024,
  maxCircuitsPerPeer: 64,
  circuitDurationMs: 30 * 60 * 1000,
  circuitBytes: 128 * 1024 * 1024,
};

/** Shortest times: both go out in whole seconds, and none would be no place at all. */
const MIN_MS = 1_000;

/** All limits, `given` before the defaults. Throws `RangeError` unless each is a positive integer, and times at least 1 s. */
export function resolveRelayLimits(given: Partial<RelayLimits> = {}): RelayLimits {
  const limits = { ...DEFAULT_RELAY_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    const least = name.endsWith("Ms") ? MIN_MS : 1;
    if (!Number.isSafeInteger(value) || value < least) {
      throw new RangeError(`Relay limit ${name} must be an integer of at least ${least}, got ${value}`);
    }
  }
  return limits;
}
