import type { Meter, Metrics } from "./meter.ts";

/** 10 ms to 3 min, each twice the one before. */
const TASK_SECONDS = Array.from({ length: 15 }, (_, power) => 0.01 * 2 ** power);
/** 0.1 ms to 1 s. */
const STEP_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** The metrics of a daemon, named `agentanycast_` and this. The first eleven are those of the existing network. */
export const NODE_METRICS = {
  connected_peers: { type: "gauge", help: "Peers connected now", labels: [] },
  connections_total: { type: "counter", help: "Connections made, by who dialed", labels: ["direction"] },
  connections_by_transport: {
    type: "counter",
    help: "Connections made, by transport",
    labels: ["transport"],
  },
  tasks_total: {
    type: "counter",
    help: "Tasks that came to a status, sent or received",
    labels: ["direction", "status"],
  },
  task_duration_seconds: {
    type: "histogram",
    help: "From the making of a task to its end, in seconds",
    labels: ["direction"],
    buckets: TASK_SECONDS,
  },
  route_resolutions_total: {
    type: "counter",
    help: "Skills resolved to agents: hit (somebody has it) or miss",
    labels: ["result"],
  },
  bridge_requests_total: {
    type: "counter",
    help: "Requests of the HTTP bridge, inbound and outbound",
    labels: ["direction", "status"],
  },
  stream_chunks_total: {
    type: "counter",
    help: "Chunks of streamed artifacts, sent and received",
    labels: ["direction"],
  },
  messages_total: { type: "counter", help: "Envelopes received from peers, by type", labels: ["type"] },
  offline_queue_size: { type: "gauge", help: "Envelopes that wait for their peer", labels: [] },
  mcp_tool_calls_total: { type: "counter", help: "Tools called over MCP", labels: ["tool", "status"] },

  stream_bytes_total: {
    type: "counter",
    help: "Bytes of streamed artifacts, sent and received",
    labels: ["direction"],
  },
  offline_queue_bytes: { type: "gauge", help: "Bytes of the envelopes that wait for their peer", labels: [] },
  offline_queue_oldest_seconds: {
    type: "gauge",
    help: "Age of the envelope that has waited longest, in seconds",
    labels: [],
  },
  delivery_seconds: {
    type: "histogram",
    help: "From the commit of an envelope to the answer of its peer, in seconds",
    labels: ["type"],
    buckets: TASK_SECONDS,
  },
  peers_by_path: { type: "gauge", help: "Peers connected now: direct or relayed", labels: ["path"] },
  nat_verdict: {
    type: "gauge",
    help: "1 for what the node knows about being reached: verdict public, private or unknown",
    labels: ["verdict", "mapping"],
  },
  open_tasks: { type: "gauge", help: "Received tasks that have not ended", labels: [] },
  store_bytes: { type: "gauge", help: "Size of the files of the store", labels: [] },
  store_commit_seconds: {
    type: "histogram",
    help: "Time of a commit to the store, in seconds",
    labels: [],
    buckets: STEP_SECONDS,
  },
  policy_decisions_total: {
    type: "counter",
    help: "Decisions of the policy",
    labels: ["wire", "action"],
  },
  anp_requests_total: {
    type: "counter",
    help: "Requests over ANP, inbound and outbound",
    labels: ["direction", "status"],
  },
  event_loop_lag_seconds: {
    type: "gauge",
    help: "How late timers are, longest since the last look",
    labels: [],
  },
  process_resident_memory_bytes: { type: "gauge", help: "Resident memory of the process", labels: [] },
  process_heap_bytes: { type: "gauge", help: "Memory of JavaScript objects", labels: [] },
  process_start_time_seconds: { type: "gauge", help: "When the daemon was started, Unix time", labels: [] },
  build_info: { type: "gauge", help: "1, with the version", labels: ["version"] },
} as const satisfies Metrics;

/** What a daemon counts with. */
export type NodeMeter = Meter<typeof NODE_METRICS>;
