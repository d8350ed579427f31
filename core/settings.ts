import type { Config } from "./config.ts";
import { LOG_LEVELS } from "./log.ts";

/** How a value is read. */
export type SettingKind =
  | "text"
  | "path"
  | "list"
  | "bool"
  | "count"
  | "duration"
  | "log_level"
  | "log_format"
  | "log_output";

/** One setting: its name in the file, in the environment and on the command line. */
export interface Setting {
  readonly key: keyof Config;
  readonly kind: SettingKind;
  readonly toml?: string;
  readonly env?: string;
  readonly flag: string;
  readonly help: string;
}

/** All settings; the command line and the reading of file and environment are made from this table. */
export const SETTINGS: readonly Setting[] = [
  {
    key: "home",
    kind: "path",
    env: "AGENTANYCAST_HOME",
    flag: "home",
    help: "folder of key, socket, store and logs",
  },
  {
    key: "configPath",
    kind: "path",
    env: "AGENTANYCAST_CONFIG",
    flag: "config",
    help: "configuration file (TOML)",
  },
  {
    key: "keyPath",
    kind: "path",
    toml: "key_path",
    env: "AGENTANYCAST_KEY_PATH",
    flag: "key",
    help: "identity file",
  },
  {
    key: "grpcListen",
    kind: "text",
    toml: "grpc_listen",
    env: "AGENTANYCAST_GRPC_LISTEN",
    flag: "grpc-listen",
    help: "unix:///path or tcp://host:port of the gRPC service",
  },
  {
    key: "storePath",
    kind: "path",
    toml: "store_path",
    env: "AGENTANYCAST_STORE_PATH",
    flag: "store-path",
    help: "folder of the store",
  },
  {
    key: "listenAddrs",
    kind: "list",
    toml: "listen_addrs",
    env: "AGENTANYCAST_LISTEN_ADDRS",
    flag: "listen",
    help: "multiaddr to listen on for peers",
  },
  {
    key: "bootstrapPeers",
    kind: "list",
    toml: "bootstrap_peers",
    env: "AGENTANYCAST_BOOTSTRAP_PEERS",
    flag: "bootstrap-peers",
    help: "multiaddrs to stay connected to",
  },
  {
    key: "enableMdns",
    kind: "bool",
    toml: "enable_mdns",
    env: "AGENTANYCAST_ENABLE_MDNS",
    flag: "enable-mdns",
    help: "look for peers on the local network",
  },
  {
    key: "mdnsServiceTag",
    kind: "text",
    toml: "mdns_service_tag",
    env: "AGENTANYCAST_MDNS_SERVICE_TAG",
    flag: "mdns-service-tag",
    help: "service to look under (_p2p._udp.local meets the existing network)",
  },
  {
    key: "mdnsInterfaces",
    kind: "list",
    toml: "mdns_interfaces",
    env: "AGENTANYCAST_MDNS_INTERFACES",
    flag: "mdns-interfaces",
    help: "interfaces (address or name) that mDNS uses",
  },
  {
    key: "offlineQueueTtlMs",
    kind: "duration",
    toml: "offline_queue_ttl",
    env: "AGENTANYCAST_OFFLINE_QUEUE_TTL",
    flag: "offline-queue-ttl",
    help: "how long an undelivered message is kept, such as 90m or 24h; 0 = without limit",
  },
  {
    key: "offlineQueueMax",
    kind: "count",
    toml: "offline_queue_max",
    env: "AGENTANYCAST_OFFLINE_QUEUE_MAX",
    flag: "offline-queue-max",
    help: "most undelivered tasks and messages for one peer",
  },
  {
    key: "enableFastLane",
    kind: "bool",
    toml: "enable_fast_lane",
    env: "AGENTANYCAST_ENABLE_FAST_LANE",
    flag: "enable-fast-lane",
    help: "send over /agentanycast/a2a/2.0 to peers that know it, else 1.0",
  },
  {
    key: "tasksKeepMs",
    kind: "duration",
    toml: "tasks.keep",
    env: "AGENTANYCAST_TASKS_KEEP",
    flag: "tasks-keep",
    help: "how long ended tasks are kept, such as 30d",
  },
  {
    key: "tasksKeepCount",
    kind: "count",
    toml: "tasks.keep_count",
    env: "AGENTANYCAST_TASKS_KEEP_COUNT",
    flag: "tasks-keep-count",
    help: "of more tasks than this the oldest ended ones are removed",
  },
  {
    key: "tasksAgentTimeoutMs",
    kind: "duration",
    toml: "tasks.agent_timeout",
    env: "AGENTANYCAST_TASKS_AGENT_TIMEOUT",
    flag: "tasks-agent-timeout",
    help: "a received task fails when no agent is there for it for this time",
  },
  {
    key: "tasksIdleTimeoutMs",
    kind: "duration",
    toml: "tasks.idle_timeout",
    env: "AGENTANYCAST_TASKS_IDLE_TIMEOUT",
    flag: "tasks-idle-timeout",
    help: "a task fails when the other side does not say anything for this time",
  },
  {
    key: "tasksClaimLeaseMs",
    kind: "duration",
    toml: "tasks.claim_lease",
    env: "AGENTANYCAST_TASKS_CLAIM_LEASE",
    flag: "tasks-claim-lease",
    help: "how long a worker's claim on a task lasts without renewal",
  },
  {
    key: "logLevel",
    kind: "log_level",
    toml: "log_level",
    env: "AGENTANYCAST_LOG_LEVEL",
    flag: "log-level",
    help: LOG_LEVELS.join(", "),
  },
  {
    key: "logFormat",
    kind: "log_format",
    toml: "log_format",
    env: "AGENTANYCAST_LOG_FORMAT",
    flag: "log-format",
    help: "text or json",
  },
  {
    key: "logOutput",
    kind: "log_output",
    toml: "log_output",
    env: "AGENTANYCAST_LOG_OUTPUT",
    flag: "log-output",
    help: "stderr, file (<home>/logs/agentanycast.log) or both",
  },
];
