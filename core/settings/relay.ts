import { isAbsolute, join, resolve } from "node:path";
import type { ConfigOf } from "../resolve_settings.ts";
import { count, duration, flag, list, optionalPath, type Setting, text } from "../setting.ts";
import { homeSettings } from "./home.ts";
import { LOG_SETTINGS } from "./log.ts";

const { home, configPath, keyPath } = homeSettings(join(".agentanycast", "relay"));

/** A `host:port` that may be empty, or `off`, for none. */
function optionalListen(byDefault: string, help: string): Setting<string> {
  const setting = text(byDefault, `${help}; :port is this machine only, off or nothing is none`);
  return { ...setting, parse: (raw, home) => raw === "" || raw === "off" ? "" : setting.parse(raw, home) };
}

/** Where registrations outlive the relay. */
function storeSetting(): Setting<string> {
  const setting = text(({ home }) => join(home, "data"), "memory, a folder, or https://… of a denokv server");
  return {
    ...setting,
    parse(raw, userHome) {
      const given = setting.parse(raw, userHome);
      return given === "memory" || /^https?:\/\//.test(given) || isAbsolute(given) ? given : resolve(given);
    },
  };
}

/** The settings of a relay, with the flags and defaults of the existing one where that has them. */
export const RELAY_SETTINGS = {
  "": {
    home,
    configPath: { ...configPath, names: { ...configPath.names, env: "AGENTANYCAST_RELAY_CONFIG" } },
    keyPath,
    listenAddrs: list(
      ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1/noise"],
      "multiaddr to listen on for peers, such as /ip4/0.0.0.0/tcp/4002/ws",
      { flag: "listen" },
    ),
    enableWebtransport: flag(
      false,
      "speak libp2p's WebTransport too, for browsers, on the port after QUIC's or where listen says",
    ),
    enableWebrtcDirect: flag(
      false,
      "speak libp2p's WebRTC-direct too, for browsers, on the second port after QUIC's or where listen says",
    ),
    announceAddrs: list([], "multiaddr that peers are told beside those that are listened on", {
      flag: "announce",
    }),
    maxConnections: count(4_096, "most connections of peers"),
    maxReservations: count(128, "most peers with a place at the relay"),
    maxReservationsPerIp: count(16, "of them, from one address (one /64 of IPv6); loopback is not counted"),
    reservationTtlMs: duration(60 * 60 * 1000, "how long a place lasts without renewal"),
    maxCircuits: count(1_024, "most circuits open at once"),
    maxCircuitsPerPeer: count(64, "of them, those that one peer is an end of"),
    circuitDurationMs: duration(30 * 60 * 1000, "how long a circuit may be open"),
    circuitBytes: count(128 * 1024 * 1024, "bytes that a circuit carries in each direction"),
    registryListen: text(":50052", "host:port of the registry over gRPC; :port is every interface"),
    registryTtlMs: duration(30_000, "how long a registration lives without renewal"),
    registryCapacity: count(10_000, "most peers registered here, and most known from other relays"),
    registryMaxPerHost: count(
      512,
      "most peers registered from one address (one /64 of IPv6); loopback is not counted",
    ),
    registryMaxBytes: count(256 * 1024 * 1024, "most bytes of registrations, about"),
    registryChangesPerSecond: count(
      20,
      "most registrations, renewals and removals a second from one address (one /64 of IPv6)",
    ),
    registryQueriesPerSecond: count(100, "most queries a second from one address (one /64 of IPv6)"),
    registryOpen: flag(false, "take registrations that nobody has signed from everybody"),
    registryStore: storeSetting(),
    tlsCert: optionalPath("PEM file with the certificates of the gRPC and HTTP servers"),
    tlsKey: optionalPath("PEM file with their key"),
    federationCa: optionalPath(
      "PEM file with the authorities to trust for tls:// peers; none = those of the system",
    ),
    mcpListen: optionalListen(":8080", "host:port of the MCP server"),
    metricsListen: optionalListen(":9090", "host:port of /health and /metrics"),
    apiListen: optionalListen(":8081", "host:port of the REST API and dashboard"),
    apiCorsOrigins: list([], "origins whose web pages may read the REST API; * is all"),
    federationPeers: list(
      [],
      "relays to share registrations with: host:port of gRPC, tls://host:port, or a multiaddr",
    ),
    federationSyncIntervalMs: duration(10_000, "how often they are asked for changes"),
    ...LOG_SETTINGS,
  },
};

/** Everything a relay is told. */
export type RelayConfig = ConfigOf<typeof RELAY_SETTINGS>;

/** What the variables of a relay begin with. */
export const RELAY_ENV_PREFIX = "AGENTANYCAST_RELAY";
