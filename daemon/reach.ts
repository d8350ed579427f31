import type { Config } from "../core/config.ts";
import { type P2pHostOptions, toListenAddresses } from "../p2p/mod.ts";

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
    listen: toListenAddresses({ addresses: config.listenAddrs, quic, webTransport, webRtcDirect }),
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
