import { count, flag, list, secret } from "../setting.ts";

/** How this node is reached and how it reaches others; these stand outside of any section. */
export const REACH_SETTINGS = {
  enableQuic: flag(true, "listen and dial over QUIC too (/udp/<port>/quic-v1/noise)"),
  enableRelayClient: flag(
    true,
    "be reachable through the relays, and dial through them when nothing else goes",
  ),
  enableHolePunching: flag(true, "replace relayed connections by direct ones through both NATs"),
  enablePortMapping: flag(
    true,
    "have the router open ports (NAT-PMP, UPnP); never for a node on loopback or with a proxy",
  ),
  enableWebtransport: flag(
    false,
    "speak libp2p's WebTransport too (/udp/<port>/quic-v1/webtransport), as browsers do",
  ),
  enableWebrtcDirect: flag(
    false,
    "speak libp2p's WebRTC-direct too (/udp/<port>/webrtc-direct), as browsers do",
  ),
};

/** `[network]`: bounds and exceptions of the connections to other nodes. */
export const NETWORK_SETTINGS = {
  announceAddrs: list([], "multiaddrs that peers are told besides those found out, such as a forwarded port"),
  allow: list([], "peer ids, addresses and ranges that alone may connect and be dialed; none means all"),
  deny: list([], "peer ids, addresses and ranges that may neither connect nor be dialed"),
  proxy: secret(
    "http://, https:// or socks5://[user:password@]host:port through which alone peers are dialed",
  ),
  maxConnections: count(300, "most connections; beyond it the idle ones are closed and new ones refused"),
};
