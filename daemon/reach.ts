import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import type { P2pHostOptions } from "../p2p/mod.ts";

/** How listen addresses of WebTransport end. */
const WEBTRANSPORT = "/quic-v1/webtransport";

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
  | "limits"
>;

/** How `config` wants the host to listen and to be reached. @throws CodedError `invalid_argument` for what cannot work. */
export function toReachOptions(config: Config): ReachOptions {
  refuseUnavailable(config);
  const { enableQuic: quic, enableWebtransport: webTransport } = config;
  return {
    listen: listenAddressesOf(config),
    bootstrapPeers: config.bootstrapPeers,
    relayClient: config.enableRelayClient,
    holePunching: config.enableHolePunching,
    portMapping: config.enablePortMapping && config.network.proxy === undefined,
    quic,
    webTransport,
    announce: config.network.announceAddrs,
    access: { allow: config.network.allow, deny: config.network.deny },
    proxy: config.network.proxy,
    limits: { maxConnections: config.network.maxConnections },
  };
}

/** WebTransport listens beside QUIC, on a free port, unless the configuration says where. */
function listenAddressesOf({ listenAddrs, enableQuic, enableWebtransport }: Config): string[] {
  const told = listenAddrs.filter((address) => address.includes(WEBTRANSPORT));
  if (told.length > 0 && !enableWebtransport) {
    throw new CodedError(
      "invalid_argument",
      `Could not listen on ${told[0]}: WebTransport is off; set enable_webtransport or leave the address out`,
    );
  }
  const others = listenAddrs.filter((address) => !told.includes(address));
  const beside = others.flatMap((address) => {
    const host = /^(\/ip[46]\/[^/]+)\/udp\/\d+\/quic-v1\/noise$/.exec(address)?.[1];
    return host === undefined ? [] : [`${host}/udp/0${WEBTRANSPORT}`];
  });
  return [
    ...others.filter((address) => enableQuic || !address.includes("/quic-v1")),
    ...enableWebtransport && told.length === 0 ? [...new Set(beside)] : told,
  ];
}

function refuseUnavailable(config: Config): void {
  if (!config.enableWebrtcDirect) return;
  throw new CodedError(
    "invalid_argument",
    "enable_webrtc_direct cannot be used: this version has no such transport; leave it out and use WebTransport, " +
      "QUIC, TCP or WebSocket",
  );
}
