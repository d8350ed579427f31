import type { EnvelopeTransport } from "../../a2a/mod.ts";
import type { P2pHost } from "../../p2p/mod.ts";
import { encodeEnvelope } from "../convert/envelope.ts";

/** The engine's way to other engines: one frame on a stream of its own per envelope. */
export function createEnvelopeTransport(host: P2pHost): EnvelopeTransport {
  return {
    peerId: host.peerId,
    isConnected: (peerId) => host.isConnected(peerId),
    connect: async (peerId, options) => {
      await host.connect(peerId, [], options);
    },
    send: (peerId, envelope, options) => host.sendA2aFrame(peerId, encodeEnvelope(envelope), options),
  };
}
