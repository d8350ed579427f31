import type { Answer, EnvelopeTransport } from "../a2a/mod.ts";

/** Somebody at this node who gives its agent tasks over HTTP, ANP, MCP or gRPC: the wire, and who it is there. */
export type CallerId = `${"http" | "anp" | "mcp" | "grpc"}:${string}`;

/** Whether a task's other side is a caller of this node; it is no peer that envelopes could be sent to. */
export function isCallerId(peerId: string): peerId is CallerId {
  return /^(http|anp|mcp|grpc):(?!\/\/)./.test(peerId);
}

/** A way to some of those that tasks are exchanged with. */
export interface TransportRoute {
  /** Whether this is the way to `peerId`. */
  handles(peerId: string): boolean;
  readonly transport: Omit<EnvelopeTransport, "peerId">;
}

/** `peers`, but for those whom one of `routes` leads to; the first that does is taken. */
export function routeTransports(
  peers: EnvelopeTransport,
  routes: readonly TransportRoute[],
): EnvelopeTransport {
  const wayTo = (peerId: string) => routes.find((route) => route.handles(peerId))?.transport ?? peers;
  return {
    peerId: peers.peerId,
    isConnected: (peerId) => wayTo(peerId).isConnected(peerId),
    framingOf: (peerId) => wayTo(peerId).framingOf(peerId),
    windowOf: (peerId) => wayTo(peerId).windowOf(peerId),
    connect: (peerId, options) => wayTo(peerId).connect(peerId, options),
    send: (peerId, envelope, options) => wayTo(peerId).send(peerId, envelope, options),
  };
}

/** The way to callers: they read how their task stands, so that there is nothing to send. */
export const callerRoute: TransportRoute = {
  handles: isCallerId,
  transport: {
    isConnected: () => true,
    framingOf: () => "none",
    windowOf: () => 1,
    connect: () => Promise.resolve(),
    send: (): Promise<Answer> => Promise.resolve({ outcome: "taken" }),
  },
};
