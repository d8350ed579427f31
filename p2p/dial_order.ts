import { isPrivateIp } from "@libp2p/utils";
import { multiaddr } from "@multiformats/multiaddr";
import { isLoopbackHost, kindOf } from "./address_kind.ts";

/** Every program of the network has TCP; QUIC is often blocked on the way. */
const TRANSPORT_ORDER = ["tcp", "ws", "quic", "webtransport", "webrtc-direct"];

/** Own addresses in the order in which strangers get through: plain TCP first, loopback last; names and public addresses before others. */
export function toDialOrder(addresses: readonly string[]): string[] {
  return addresses.map((address) => ({ address, rank: rankOf(address) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ address }) => address);
}

function rankOf(address: string): number {
  const parsed = multiaddr(address);
  const host = parsed.getComponents()[0]?.value ?? "";
  const transport = kindOf(parsed)?.transport ?? "webrtc-direct";
  const far = (isLoopbackHost(host) ? 100 : 0) + (isPrivateIp(host) === true ? 2 : 0);
  return far + 10 * TRANSPORT_ORDER.indexOf(transport) + (host.includes(":") ? 1 : 0);
}
