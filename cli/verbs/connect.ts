import { startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toFacts, visible } from "../output.ts";
import { parsePeerTarget } from "../peer_target.ts";
import { reachPeer } from "../reach_peer.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface ConnectOptions {
  readonly timeout: number;
}

/** Connects to a peer. */
export async function run(context: VerbContext<ConnectOptions>): Promise<number> {
  const { args: [target = ""], options, output, signal, logger } = context;
  const wanted = parsePeerTarget(target);
  await using session = await openSession(context.loadConfig(), { logger, signal });
  using deadline = startDeadline(options.timeout, signal);
  const peer = await reachPeer(session, wanted, deadline);
  output.result(peer, () =>
    toFacts({
      "Connected to": peer.peerId,
      "Agent": peer.agentName && visible(peer.agentName),
      "Path": peer.connection,
      "Address": peer.addresses[0] && visible(peer.addresses[0]),
    }));
  if (session.isOwn) output.note("No daemon runs on this home: the connection ends with this call.");
  return EXIT_OK;
}
