import { CodedError } from "../../core/errors.ts";
import type { AgentCard, CardCheck } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { describeCard, describeCheck } from "../card_text.ts";
import { startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { parsePeerTarget } from "../peer_target.ts";
import { reachPeer } from "../reach_peer.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface CardOptions {
  readonly timeout: number;
}

/** Prints the card of a peer, or the own one. */
export async function run(context: VerbContext<CardOptions>): Promise<number> {
  const { args: [target], output } = context;
  const { card, check } = target === undefined ? await ownCard(context) : await peerCard(context, target);
  output.result({ ...card, ...(check && { check }) }, () => [
    ...describeCard(card),
    ...check === undefined ? [] : describeCheck(check),
  ]);
  return EXIT_OK;
}

interface SeenCard {
  readonly card: AgentCard;
  readonly check?: CardCheck;
}

async function ownCard({ options, logger, signal, loadConfig }: VerbContext): Promise<SeenCard> {
  await using session = await openSession(loadConfig(), { logger, signal, network: false });
  const { card } = await session.node.info();
  if (card !== undefined) return { card };
  throw new CodedError(
    "not_found",
    `This node has no card: an agent sets one, or \`${toCall("card set <file>", options)}\``,
  );
}

async function peerCard(context: VerbContext<CardOptions>, target: string): Promise<SeenCard> {
  const { options, logger, signal } = context;
  const peer = parsePeerTarget(target);
  await using session = await openSession(context.loadConfig(), { logger, signal });
  using deadline = startDeadline(options.timeout, signal);
  const isThis = peer.peerId === session.node.peerId;
  if (!isThis && (session.isOwn || peer.addresses.length > 0)) await reachPeer(session, peer, deadline);
  return await session.node.checkCard(peer.peerId);
}
