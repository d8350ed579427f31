import type { RpcContext } from "../../rpc/rpc_service.ts";
import type { Caller } from "../registry/admission.ts";

/** Who makes a call. `hostOf` tells the IP address a peer is connected from. */
export function callerOf(
  { peer, peerId }: RpcContext,
  hostOf: (peerId: string) => string | undefined,
): Caller {
  // One that has just gone is no caller on this machine: it is counted by itself.
  if (peerId !== undefined) return { peerId, host: hostOf(peerId) ?? `peer ${peerId}` };
  const host = peer.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:/, "");
  return { peerId: undefined, host: peer === "unix" ? "" : host };
}
