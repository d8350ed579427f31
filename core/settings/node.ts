import { join } from "node:path";
import { count, duration, flag, list, text } from "../setting.ts";
import { homeSettings } from "./home.ts";
import { LOG_SETTINGS } from "./log.ts";
import { REACH_SETTINGS } from "./nat.ts";

const { home, configPath, keyPath, storePath } = homeSettings(".agentanycast");

/** The settings outside of any section. */
export const NODE_SETTINGS = {
  home,
  configPath,
  keyPath,
  grpcListen: text(
    ({ home }) => `unix://${join(home, "daemon.sock")}`,
    "unix:///path or tcp://host:port of the gRPC service",
  ),
  storePath,
  listenAddrs: list(
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1/noise"],
    "multiaddr to listen on for peers",
    { flag: "listen" },
  ),
  bootstrapPeers: list([], "multiaddrs to stay connected to"),
  ...REACH_SETTINGS,
  enableMdns: flag(true, "look for peers on the local network"),
  mdnsServiceTag: text(
    "_agentanycast._udp.local",
    "service to look under (_p2p._udp.local meets the existing network)",
  ),
  mdnsInterfaces: list([], "interfaces (address or name) that mDNS uses; none means all"),
  offlineQueueTtlMs: duration(
    24 * 60 * 60 * 1000,
    "how long an undelivered message is kept, such as 90m or 24h; 0 = without limit",
  ),
  offlineQueueMax: count(20_000, "most undelivered tasks and messages for one peer"),
  enableFastLane: flag(true, "send over /agentanycast/a2a/2.0 to peers that know it, else 1.0"),
  ...LOG_SETTINGS,
};
