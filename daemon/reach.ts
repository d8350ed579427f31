import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import type { P2pHostOptions } from "../p2p/mod.ts";

/** Transports for browsers and programs of others: how their listen addresses end, and what switches them on. */
const FOR_OTHERS = [
  { name: "WebTransport", suffix: "/quic-v1/webtransport", setting: "enableWebtransport" },
  { name: "WebRTC-direct", suffix: "/webrtc-direct", setting: "enableWebrtcDirect" },
] as const;

/** The part of a host's options that says how it is reached. */
export type ReachOptions = Pick<
  P2pHostOptions,
  | "announce"
  | "access"
  | "proxy"
  | "listen"
  | "bootstrapPeers"
  | "relayClient"
  | "holePunching"
  | "portMapping"
  | "quic"
  | "webTransport"
  | "webRtcDirect"
  | "limits"
>;

/** How `config` wants the host to listen and to be reached. @throws CodedError `invalid_argument` for what cannot work. */
export function toReachOptions(config: Config): ReachOptions {
  const { enableQuic: quic, enableWebtransport: webTransport, enableWebrtcDirect: webRtcDirect } = config;
  return {
    listen: listenAddressesOf(config),
    bootstrapPeers: config.bootstrapPeers,
    relayClient: config.enableRelayClient,
    holePunching: config.enableHolePunching,
    portMapping: config.enablePortMapping && config.network.proxy === undefined,
    quic,
    webTransport,
    webRtcDirect,
    announce: config.network.announceAddrs,
    access: { allow: config.network.allow, deny: config.network.deny },
    proxy: config.network.proxy,
    limits: { maxConnections: config.network.maxConnections },
  };
}

/** Transports for others listen beside QUIC, on a free port, unless the configuration says where. */
function listenAddressesOf(config: Config): string[] {
  const { listenAddrs, enableQuic } = config;
  const hosts = listenAddrs.flatMap((address) =>
    /^(\/ip[46]\/[^/]+)\/udp\/\d+\/quic-v1\/noise$/.exec(address)?.[1] ?? []
  );
  const isForOthers = (address: string) => FOR_OTHERS.some(({ suffix }) => address.includes(suffix));
  return [
    ...listenAddrs.filter((address) =>
      !isForOthers(address) && (enableQuic || !address.includes("/quic-v1"))
    ),
    ...FOR_OTHERS.flatMap((transport) => {
      const told = listenAddrs.filter((address) => address.includes(transport.suffix));
      if (!config[transport.setting]) return refuse(told, transport);
      return told.length > 0 ? told : [...new Set(hosts)].map((host) => `${host}/udp/0${transport.suffix}`);
    }),
  ];
}

function refuse(told: readonly string[], { name, setting }: typeof FOR_OTHERS[number]): string[] {
  if (told.length === 0) return [];
  const switchName = setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  throw new CodedError(
    "invalid_argument",
    `Could not listen on ${told[0]}: ${name} is off; set ${switchName} or leave the address out`,
  );
}
