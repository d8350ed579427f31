import type { PeerId } from "@libp2p/interface";
import { CODE_P2P, type Multiaddr } from "@multiformats/multiaddr";
import { abortable } from "../../core/abortable.ts";
import { toPeerId } from "../peer_address.ts";

/** The peer that `address` names at its end. */
export function peerOf(address: Multiaddr): PeerId | undefined {
  const id = address.getComponents().findLast(({ code }) => code === CODE_P2P)?.value;
  return id === undefined ? undefined : toPeerId(id);
}

/** Family of the socket that `address` is dialed from. */
export function familyOf(address: Multiaddr): 4 | 6 {
  return address.getComponents()[0]?.name === "ip6" || address.getComponents()[0]?.name === "dns6" ? 6 : 4;
}

/** Waits until `signal` fires; a connection that is there later than that is closed. */
export async function abandonable(
  connecting: Promise<Deno.QuicConn>,
  signal: AbortSignal,
): Promise<Deno.QuicConn> {
  try {
    return await abortable(connecting, signal);
  } catch (error) {
    connecting.then((quic) => quic.close({ closeCode: 0, reason: "too late" }), () => {
      // It failed by itself.
    });
    throw error;
  }
}
