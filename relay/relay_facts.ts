import { VERSION } from "../core/version.ts";
import type { P2pHost } from "../p2p/mod.ts";
import type { Federation } from "./federation/federation.ts";
import type { Directory } from "./registry/directory.ts";

/** What is looked at. */
export interface RelayFactsDeps {
  readonly host: Pick<P2pHost, "peerId" | "peers" | "addresses" | "relayServer">;
  readonly directory: Directory;
  readonly federation: Pick<Federation, "statuses">;
  readonly startedAtMs: number;
}

/** How a relay does, in the form that `/health` of the existing network has, and more. */
export interface RelayFacts {
  readonly status: "healthy" | "degraded";
  readonly version: string;
  readonly peer_id: string;
  readonly addresses: readonly string[];
  readonly uptime_seconds: number;
  readonly registry: {
    readonly local_count: number;
    readonly federated_count: number;
    readonly skill_count: number;
    readonly fed_skill_count: number;
    readonly bytes: number;
  };
  readonly federation?: {
    readonly peers: number;
    readonly healthy_peers: number;
    readonly peer_details: readonly FederatedRelayFacts[];
  };
  readonly libp2p: { readonly connected_peers: number };
  readonly relay: Readonly<Record<string, unknown>>;
}

/** How it stands with a relay that registrations are shared with. */
export interface FederatedRelayFacts {
  readonly address: string;
  readonly relay_id: string;
  readonly line: string | undefined;
  readonly healthy: boolean;
  readonly consecutive_failures: number;
  readonly last_error?: string;
  readonly last_sync?: string;
  readonly backoff_until?: string;
  readonly received: number;
  readonly sent: number;
}

/** How a relay does now. */
export function relayFacts({ host, directory, federation, startedAtMs }: RelayFactsDeps): RelayFacts {
  const peers = federation.statuses().map(toFederatedRelay);
  const healthyPeers = peers.filter(({ healthy }) => healthy).length;
  return {
    status: healthyPeers < peers.length ? "degraded" : "healthy",
    version: VERSION,
    peer_id: host.peerId,
    addresses: host.addresses(),
    uptime_seconds: Math.round((Date.now() - startedAtMs) / 1000),
    registry: {
      local_count: directory.here.size,
      federated_count: directory.elsewhere.size,
      skill_count: directory.here.skillCount,
      fed_skill_count: directory.elsewhere.skillCount,
      bytes: directory.here.bytes + directory.elsewhere.bytes,
    },
    ...(peers.length > 0 && {
      federation: { peers: peers.length, healthy_peers: healthyPeers, peer_details: peers },
    }),
    libp2p: { connected_peers: host.peers().length },
    relay: { ...host.relayServer?.stats },
  };
}

function toFederatedRelay(status: ReturnType<Federation["statuses"]>[number]): FederatedRelayFacts {
  return {
    address: status.address,
    relay_id: status.relayId,
    line: status.line,
    healthy: status.healthy,
    consecutive_failures: status.consecutiveFailures,
    ...(status.lastError !== "" && { last_error: status.lastError }),
    ...(status.lastSyncMs > 0 && { last_sync: new Date(status.lastSyncMs).toISOString() }),
    ...(status.pauseUntilMs > Date.now() && { backoff_until: new Date(status.pauseUntilMs).toISOString() }),
    received: status.received,
    sent: status.sent,
  };
}
