import { autoNATv2 } from "@libp2p/autonat-v2";
import type { Multiaddr } from "@multiformats/multiaddr";
import { kindOf } from "./address_kind.ts";

type Components = Parameters<ReturnType<typeof autoNATv2>>[0];

/**
 * AutoNAT v2: peers outside are asked to dial this node back at `candidates`, and this node does it for them. That somebody
 * gets through is seen by the connection that comes in; libp2p's own book of addresses is left as it is, since it would
 * announce nothing until four networks have tried.
 */
export function dialBack(candidates: () => readonly Multiaddr[]): (components: Components) => unknown {
  const book = {
    // Verified, so that nobody searches for peers to ask; expired, so that those who come along are asked.
    getAddressesWithMetadata: () =>
      candidates().filter(isWorthAsking).map((multiaddr) => (
        { multiaddr, verified: true, type: "transport" as const, expires: 0 }
      )),
    confirmObservedAddr: () => {},
    removeObservedAddr: () => {},
  };
  return (components) => {
    const withOwnBook = new Proxy(components, {
      get: (target, name) => name === "addressManager" ? book : Reflect.get(target, name),
    });
    return autoNATv2()(withOwnBook);
  };
}

/** Over QUIC the answer would come from the socket that was asked, which every NAT lets in; few speak WebTransport or WebRTC. */
function isWorthAsking(address: Multiaddr): boolean {
  const kind = kindOf(address);
  return kind !== undefined && kind.relayId === undefined &&
    (kind.transport === "tcp" || kind.transport === "ws");
}
