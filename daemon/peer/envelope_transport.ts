import type { Answer, EnvelopeTransport } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import { abortable } from "../../core/abortable.ts";
import { type Logger, silentLogger } from "../../core/log.ts";
import type { P2pHost } from "../../p2p/mod.ts";
import { Acknowledgements, type EncodedEnvelope } from "./acknowledgements.ts";
import { Lanes, type Way } from "./lanes.ts";

/** Envelopes that may be under way to a peer of 1.0 at once. */
const LEGACY_WINDOW = 16;
/** How long a peer of 1.0 has for its ACK when the caller does not say: it was taken for one with a lane. */
const LEGACY_PATIENCE_MS = 60_000;

export interface EnvelopeTransportOptions {
  /** Whether envelopes go by `/agentanycast/a2a/2.0` to peers that speak it. Default true. */
  fastLane?: boolean;
  /** Default the wall clock. */
  clock?: Clock;
  /** Default silent. */
  logger?: Logger;
}

/** The engine's way to other engines, and what the wire has to tell it. Disposing it ends its lanes. */
export interface WireTransport extends EnvelopeTransport, AsyncDisposable {
  /** A peer acknowledged an envelope of 1.0. */
  onAck(peerId: string, envelopeId: string): void;
  /** A peer has opened a lane to this node. */
  onLane(peerId: string): void;
  onDisconnected(peerId: string): void;
  /** A better connection to a peer is there. */
  onMoved(peerId: string): void;
}

/** The way over libp2p: a lane to peers that have it, an envelope per frame and an ACK envelope back to others. */
export function createEnvelopeTransport(
  host: Pick<P2pHost, "peerId" | "isConnected" | "connect" | "sendA2aFrame" | "openChannel" | "doubt">,
  options: EnvelopeTransportOptions = {},
): WireTransport {
  const { fastLane = true, clock = systemClock, logger = silentLogger } = options;
  const acks = new Acknowledgements();
  const lanes = new Lanes({ host, clock, logger });
  const known = (peerId: string): Way | undefined => fastLane ? lanes.known(peerId) : "legacy";
  const wayTo = (peerId: string): Promise<Way> => fastLane ? lanes.to(peerId) : Promise.resolve("legacy");
  return {
    peerId: host.peerId,
    isConnected: (peerId) => host.isConnected(peerId),
    framingOf(peerId) {
      if (known(peerId) === "legacy") return "1.0";
      return lanes.speaks(peerId) ? "2.0" : undefined;
    },
    windowOf(peerId) {
      const way = known(peerId);
      return way === undefined || way === "legacy" ? LEGACY_WINDOW : way.window;
    },
    async connect(peerId, { signal }) {
      await host.connect(peerId, [], { signal });
      await untilAborted(wayTo(peerId), signal);
    },
    send(peerId, envelope, { signal } = {}) {
      if (signal?.aborted) return Promise.reject(toCodedError(signal.reason));
      if (!host.isConnected(peerId)) {
        return Promise.reject(
          new CodedError("unavailable", `Could not send to ${peerId}: it is not connected; connect first`),
        );
      }
      // A way that is known heeds the signal itself.
      const opening = known(peerId) === undefined;
      const sending = wayTo(peerId).then((way) =>
        sendBy(way, peerId, envelope, { host, lanes, acks, signal })
      );
      return opening && signal !== undefined ? untilAborted(sending, signal) : sending;
    },
    onAck: (peerId, envelopeId) => acks.onAck(peerId, envelopeId),
    onMoved: (peerId) => lanes.onMoved(peerId),
    onLane: (peerId) => lanes.onOpened(peerId),
    onDisconnected(peerId) {
      lanes.onDisconnected(peerId);
      acks.onDisconnected(peerId);
    },
    [Symbol.asyncDispose]: () => lanes[Symbol.asyncDispose](),
  };
}

interface Sending {
  host: Pick<P2pHost, "sendA2aFrame">;
  lanes: Lanes;
  acks: Acknowledgements;
  signal: AbortSignal | undefined;
}

/** It is called in the order of the sends and hands the envelope over before it waits. */
function sendBy(way: Way, peerId: string, envelope: EncodedEnvelope, sending: Sending): Promise<Answer> {
  const { host, lanes, acks, signal } = sending;
  if (way === "legacy") {
    const send = host.sendA2aFrame.bind(host);
    return acks.send(peerId, envelope, { send, signal: signal ?? AbortSignal.timeout(LEGACY_PATIENCE_MS) });
  }
  return way.send(envelope.bytes, { signal }).catch((error) => {
    if (!way.unspoken) throw error;
    lanes.fallBack(peerId, way);
    return sendBy("legacy", peerId, envelope, sending);
  });
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await abortable(promise, signal);
  } catch (error) {
    throw toCodedError(error);
  }
}
