import type { PeerInfo } from "../../sdk/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { requireDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Lists the peers that the daemon is connected to, and the way to each. */
export async function run({ output, loadConfig }: VerbContext): Promise<number> {
  await using session = await requireDaemon(loadConfig());
  const peers = await session.node.listPeers();
  output.result(peers, () => {
    if (peers.length === 0) return ["No peers are connected."];
    const heads = [
      "PEER",
      "AGENT",
      "PATH",
      "TRANSPORT",
      "RTT",
      "AGE",
      "SENT",
      "RECEIVED",
      "DIALED",
      "FOUND BY",
      "ADDRESS",
    ];
    return [...toColumns([heads, ...peers.map(toRow)]), ...peers.flatMap(toObstacle)];
  });
  return EXIT_OK;
}

function toRow(peer: PeerInfo): string[] {
  const { peerId, agentName = "", connection, relayId, transport = "", direction = "", foundBy = "" } = peer;
  return [
    peerId,
    agentName,
    relayId === undefined ? connection : `relay …${relayId.slice(-6)}`,
    transport,
    peer.roundTripMs === undefined ? "" : `${peer.roundTripMs.toFixed(1)} ms`,
    peer.connectedAt === undefined ? "" : toAge(Date.now() - peer.connectedAt.getTime()),
    toSize(peer.sentBytes ?? 0),
    toSize(peer.receivedBytes ?? 0),
    direction,
    foundBy,
    peer.addresses[0] ?? "",
  ].map(visible);
}

/** Why a relayed connection has not become a direct one. */
function toObstacle({ peerId, directTries = 0, directObstacle }: PeerInfo): string[] {
  if (directObstacle === undefined) return [];
  const tries = directTries === 1 ? "1 try" : `${directTries} tries`;
  return [`${visible(peerId)}: no direct connection after ${tries}: ${visible(directObstacle)}`];
}

function toAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

function toSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let size = bytes;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
