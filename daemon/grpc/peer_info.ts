import { ConnectionType } from "../../gen/agentanycast/v1/common_pb.ts";
import { toDidKey } from "../../identity/mod.ts";
import type { PeerConnection } from "../../p2p/mod.ts";
import type { CardBook } from "../cards.ts";
import { toTimestamp } from "../convert/time.ts";

/** A connected peer as the wire has it. */
export async function toPeerInfo(peer: PeerConnection, cards: Pick<CardBook, "of">) {
  return {
    peerId: peer.peerId,
    addresses: [peer.address, ...peer.addresses.filter((address) => address !== peer.address)],
    connectionType: peer.relayed ? ConnectionType.RELAY : ConnectionType.DIRECT,
    connectedAt: toTimestamp(peer.connectedAtMs),
    direction: peer.direction,
    foundBy: peer.foundBy,
    transport: peer.transport,
    relayId: peer.relayId ?? "",
    roundTripMs: peer.roundTripMs ?? 0,
    sentBytes: BigInt(peer.sentBytes),
    receivedBytes: BigInt(peer.receivedBytes),
    directTries: peer.punch?.tries ?? 0,
    directObstacle: peer.punch?.reason ?? "",
    didKey: toDidKey(peer.peerId),
    agentName: (await cards.of(peer.peerId))?.name ?? "",
  };
}
