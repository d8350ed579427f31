/** The wire between nodes: envelopes and cards over libp2p, translated for the engine. */
export { createEnvelopeTransport } from "./envelope_transport.ts";
export { PeerWire, type PeerWireDeps } from "./peer_wire.ts";
