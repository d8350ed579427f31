import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { requireDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Lists the peers that the daemon is connected to. */
export async function run({ output, loadConfig }: VerbContext): Promise<number> {
  await using session = await requireDaemon(loadConfig());
  const peers = await session.node.listPeers();
  output.result(peers, () => {
    if (peers.length === 0) return ["No peers are connected."];
    const rows = peers.map((
      { peerId, agentName = "", connection, direction = "", foundBy = "", addresses },
    ) => [peerId, agentName, connection, direction, foundBy, addresses[0] ?? ""].map(visible));
    return toColumns([["PEER", "AGENT", "PATH", "DIALED", "FOUND BY", "ADDRESS"], ...rows]);
  });
  return EXIT_OK;
}
