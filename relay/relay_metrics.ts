import type { Meter } from "../core/meter.ts";
import type { EventFeed } from "./http/event_feed.ts";
import type { RelayFactsDeps } from "./relay_facts.ts";

const SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** What a relay counts. Those that begin with `registry_` and `federation_` are called as in the existing network. */
export const RELAY_METRICS = {
  registry_local_count: { type: "gauge", help: "Agents registered here", labels: [] },
  registry_federated_count: { type: "gauge", help: "Agents known from other relays", labels: [] },
  registry_bytes: { type: "gauge", help: "Bytes of all registrations, about", labels: [] },
  registry_evictions_total: {
    type: "gauge",
    help: "Registrations that were not renewed in time",
    labels: [],
  },
  registry_discover_duration_seconds: {
    type: "histogram",
    help: "Time of a query in seconds",
    labels: [],
    buckets: SECONDS,
  },
  rpc_requests_total: {
    type: "counter",
    help: "Calls of registry and federation, over gRPC and libp2p, by outcome",
    labels: ["method", "code"],
  },
  rpc_duration_seconds: {
    type: "histogram",
    help: "Time of a call in seconds",
    labels: ["method"],
    buckets: SECONDS,
  },
  federation_sync_duration_seconds: {
    type: "histogram",
    help: "Time of a round with another relay in seconds",
    labels: ["peer"],
    buckets: SECONDS,
  },
  federation_sync_errors_total: { type: "counter", help: "Rounds with other relays that failed", labels: [] },
  federation_peer_up: { type: "gauge", help: "Whether another relay is in step", labels: ["peer"] },
  relay_reservations: { type: "gauge", help: "Peers with a place", labels: [] },
  relay_reservations_granted: {
    type: "gauge",
    help: "Places granted or renewed since the start",
    labels: [],
  },
  relay_circuits: { type: "gauge", help: "Circuits open now", labels: [] },
  relay_circuits_opened: { type: "gauge", help: "Circuits since the start", labels: [] },
  relay_bytes: { type: "gauge", help: "Bytes carried by circuits since the start", labels: [] },
  relay_refusals: {
    type: "gauge",
    help: "Refusals since the start, by the limit or reason",
    labels: ["reason"],
  },
  connected_peers: { type: "gauge", help: "Peers connected over libp2p", labels: [] },
  event_streams: { type: "gauge", help: "Readers of server-sent events", labels: [] },
  process_resident_memory_bytes: { type: "gauge", help: "Memory of the process in bytes", labels: [] },
  process_start_time_seconds: {
    type: "gauge",
    help: "Start of the process, seconds since the epoch",
    labels: [],
  },
} as const;

/** Counts what a relay does. */
export type RelayMeter = Meter<typeof RELAY_METRICS>;

/** Lets the state of a relay be read as gauges. */
export function watchRelay(meter: RelayMeter, deps: RelayFactsDeps & { readonly feed: EventFeed }): void {
  const { host, directory, federation, feed, startedAtMs } = deps;
  const stats = () => host.relayServer?.stats;
  meter.gauge("registry_local_count", () => [[{}, directory.here.size]]);
  meter.gauge("registry_federated_count", () => [[{}, directory.elsewhere.size]]);
  meter.gauge("registry_bytes", () => [[{}, directory.here.bytes + directory.elsewhere.bytes]]);
  meter.gauge("registry_evictions_total", () => [[{}, directory.lapsedCount]]);
  meter.gauge(
    "federation_peer_up",
    () => federation.statuses().map(({ address, healthy }) => [{ peer: address }, healthy ? 1 : 0] as const),
  );
  meter.gauge("relay_reservations", () => [[{}, stats()?.reservations ?? 0]]);
  meter.gauge("relay_reservations_granted", () => [[{}, stats()?.reservationsGranted ?? 0]]);
  meter.gauge("relay_circuits", () => [[{}, stats()?.circuits ?? 0]]);
  meter.gauge("relay_circuits_opened", () => [[{}, stats()?.circuitsOpened ?? 0]]);
  meter.gauge("relay_bytes", () => [[{}, stats()?.bytes ?? 0]]);
  meter.gauge(
    "relay_refusals",
    () => Object.entries(stats()?.refusals ?? {}).map(([reason, count]) => [{ reason }, count] as const),
  );
  meter.gauge("connected_peers", () => [[{}, host.peers().length]]);
  meter.gauge("event_streams", () => [[{}, feed.readers]]);
  meter.gauge("process_resident_memory_bytes", () => [[{}, Deno.memoryUsage().rss]]);
  meter.gauge("process_start_time_seconds", () => [[{}, startedAtMs / 1000]]);
}
