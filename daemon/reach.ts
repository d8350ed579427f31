import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import type { P2pHostOptions } from "../p2p/mod.ts";

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
  | "limits"
>;

/** How `config` wants the host to listen and to be reached. @throws CodedError `invalid_argument` for what cannot work. */
export function toReachOptions(config: Config): ReachOptions {
  refuseUnavailable(config);
  const { enableQuic: quic } = config;
  return {
    listen: config.listenAddrs.filter((address) => quic || !address.includes("/quic-v1")),
    bootstrapPeers: config.bootstrapPeers,
    relayClient: config.enableRelayClient,
    holePunching: config.enableHolePunching,
    portMapping: config.enablePortMapping && config.network.proxy === undefined,
    quic,
    announce: config.network.announceAddrs,
    access: { allow: config.network.allow, deny: config.network.deny },
    proxy: config.network.proxy,
    limits: { maxConnections: config.network.maxConnections },
  };
}

function refuseUnavailable(config: Config): void {
  const asked = [
    ["enable_webtransport", config.enableWebtransport],
    ["enable_webrtc_direct", config.enableWebrtcDirect],
  ].find(([, on]) => on)?.[0];
  if (asked === undefined) return;
  throw new CodedError(
    "invalid_argument",
    `${asked} cannot be used: this version has no such transport; leave it out and use QUIC, TCP or WebSocket`,
  );
}
