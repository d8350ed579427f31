/**
 * The libp2p host: connections, frames and channels of frames, discovery on the local link. It knows bytes and peers, not
 * tasks. Imports `core/` only; whoever opens a host closes it. libp2p is loaded with this module: import it lazily.
 *
 * @module
 */
export {
  A2A_PROTOCOL,
  ARTIFACT_STREAM_PROTOCOL,
  CARD_PROTOCOL,
  EXISTING_NETWORK_DHT_PROTOCOL,
  EXISTING_NETWORK_SERVICE_TAG,
  LANE_PROTOCOL,
  MAX_CHANNEL_FRAME_BYTES,
  MAX_FRAME_BYTES,
  OWN_DHT_PROTOCOL,
  OWN_SERVICE_TAG,
  REGISTRY_PROTOCOL,
} from "./constants.ts";
export {
  openP2pHost,
  type P2pHandlers,
  type P2pHost,
  type P2pHostDeps,
  type P2pHostOptions,
  type Reachability,
} from "./host.ts";
export { transportsOf } from "./address_kind.ts";
export type { Dht, Provider } from "./dht.ts";
export { toDialOrder } from "./dial_order.ts";
export type { DhtOptions } from "./dht_services.ts";
export type { FrameChannel } from "./frame_channel.ts";
export type { FrameHandlers } from "./inbound.ts";
export type { RelayLimits } from "./relay_server/relay_limits.ts";
export type { RelayServerStats } from "./relay_server/relay_server.ts";
export type { P2pLimits } from "./limits.ts";
export { toListenAddresses } from "./listen_addresses.ts";
export type { MdnsOptions } from "./mdns.ts";
export type { CallOptions } from "./outbound.ts";
export { parsePeerTarget, type PeerTarget } from "./peer_address.ts";
export type { PortMapping } from "./port_mapping/port_mapper.ts";
export type { RelayState, RelayStatus } from "./relay_client.ts";
export type { FoundBy, PeerConnection, PeerEvents } from "./peers.ts";
