/** Bounds of a host. Each has a default that {@link resolveLimits} fills in. */
export interface P2pLimits {
  /** Open connections; above it idle ones are closed. Default 300. */
  maxConnections: number;
  /** Inbound connections per second and remote address. Default 100. */
  inboundConnectionsPerSecond: number;
  /** Streams that one peer may have open towards us, per protocol. Default 256. */
  inboundStreamsPerPeer: number;
  /** Lanes that one peer may have open towards us, and channels to our registry. Default 4. */
  inboundLanesPerPeer: number;
  /** Artifact streams that one peer may have open towards us. Default 64. */
  inboundArtifactStreamsPerPeer: number;
  /** Streams that we may have open towards one peer, per protocol. Default 256. */
  outboundStreamsPerPeer: number;
  /** Bytes of inbound frames under way, all peers together. Default 256 MiB. */
  maxInboundBytes: number;
  /** Bytes of inbound frames under way from one peer. Default 64 MiB. */
  maxInboundBytesPerPeer: number;
  /** Peers whose addresses are remembered. Default 4096. */
  maxRememberedPeers: number;
  /** Longest time for reaching a peer. Default 10 s. */
  dialTimeoutMs: number;
  /** Longest time for one frame to arrive or to leave. Default 30 s. */
  frameTimeoutMs: number;
  /** Longest time for which a write may stand still. Default 10 s. */
  writeStallTimeoutMs: number;
  /** First and shortest pause before a bootstrap peer is dialed again. Default 1 s. */
  reconnectMinMs: number;
  /** Longest such pause. Default 60 s. */
  reconnectMaxMs: number;
}

const DEFAULT_LIMITS: P2pLimits = {
  maxConnections: 300,
  inboundConnectionsPerSecond: 100,
  inboundStreamsPerPeer: 256,
  inboundLanesPerPeer: 4,
  inboundArtifactStreamsPerPeer: 64,
  outboundStreamsPerPeer: 256,
  maxInboundBytes: 256 * 1024 * 1024,
  maxInboundBytesPerPeer: 64 * 1024 * 1024,
  maxRememberedPeers: 4096,
  dialTimeoutMs: 10_000,
  frameTimeoutMs: 30_000,
  writeStallTimeoutMs: 10_000,
  reconnectMinMs: 1_000,
  reconnectMaxMs: 60_000,
};

/** All limits, `given` before the defaults. Throws `RangeError` unless each is a positive integer. */
export function resolveLimits(given: Partial<P2pLimits> = {}): P2pLimits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Limit ${name} must be a positive integer, got ${value}`);
    }
  }
  return limits;
}
