/** The wire between nodes: envelopes and cards over libp2p, translated for the engine. */
export type { WireTransport } from "./envelope_transport.ts";
export { PeerWire, type PeerWireDeps, type PeerWireOptions } from "./peer_wire.ts";
