/** Protocol of task envelopes: the sender opens a stream, writes frames, closes; nothing is written back on it. */
export const A2A_PROTOCOL = "/agentanycast/a2a/1.0";

/** Protocol of the card exchange: one frame each way, the initiator first. */
export const CARD_PROTOCOL = "/agentanycast/card/1.0";

/** Protocol of the fast lane: one long-lived channel per direction, envelopes one way and their answers back. */
export const LANE_PROTOCOL = "/agentanycast/a2a/2.0";

/** Protocol of streamed artifacts: one channel per artifact. */
export const ARTIFACT_STREAM_PROTOCOL = "/agentanycast/stream/1.0";

/** Protocol of a relay's services: calls and their answers on one channel. */
export const REGISTRY_PROTOCOL = "/agentanycast/registry/1.0";

/** The DHT of this program's network. */
export const OWN_DHT_PROTOCOL = "/agentanycast/kad/1.0.0";

/** The DHT of the existing network, which is that of IPFS. */
export const EXISTING_NETWORK_DHT_PROTOCOL = "/ipfs/kad/1.0.0";

/** Bytes of the big-endian length in front of each frame. */
export const FRAME_HEADER_BYTES = 4;

/** Longest frame of the envelope and card protocols, without its header: 16 MiB, fixed by the network. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** Longest frame of a channel, without its header: one of the longest envelopes fits with what wraps it. */
export const MAX_CHANNEL_FRAME_BYTES = MAX_FRAME_BYTES + 64 * 1024;

/** Bodies up to here travel in one piece with their header. */
export const SMALL_FRAME_BYTES = 64 * 1024;

/** mDNS service of this program: it meets its own kind and no other libp2p host. */
export const OWN_SERVICE_TAG = "_agentanycast._udp.local";

/** mDNS service of the existing network, which every libp2p host on the link answers (libp2p mDNS specification). */
export const EXISTING_NETWORK_SERVICE_TAG = "_p2p._udp.local";

/** Bytes a stream may have in flight towards us, and so what a paused stream can hold. */
export const MAX_STREAM_WINDOW_BYTES = 1024 * 1024;

/** Addresses kept per connected peer; a peer that claims more is cut here. */
export const MAX_ADDRESSES_PER_PEER = 16;

/** How long a half-closed outbound stream may wait for the peer's end before it is reset. */
export const LINGER_MS = 120_000;

/** Longest time that closing the host takes. */
export const CLOSE_TIMEOUT_MS = 5_000;

/** Longest time for one address of a peer, so that a silent one leaves time for the others. */
export const ADDRESS_DIAL_TIMEOUT_MS = 5_000;
