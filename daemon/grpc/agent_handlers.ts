import type { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { fromCard, toCard } from "../convert/card.ts";
import type { NodeServiceDeps } from "./node_service_deps.ts";
import { toPeerInfo } from "./peer_info.ts";

/** Programs that are agents of the node. */
export function agentHandlers({ agents, cards }: NodeServiceDeps) {
  return {
    attachAgent: async function* ({ agentId, card }, { signal }) {
      for await (const event of agents.attach(agentId, { card: card && fromCard(card), signal })) {
        switch (event.kind) {
          case "attached": {
            const value = { ...cards.own && { nodeCard: toCard(cards.own) } };
            yield { event: { case: "attached" as const, value } };
            break;
          }
          case "card_changed":
            yield { event: { case: "cardChanged" as const, value: event.card ? toCard(event.card) : {} } };
            break;
          case "peer_connected":
            yield { event: { case: "peerConnected" as const, value: await toPeerInfo(event.peer, cards) } };
            break;
          case "peer_disconnected":
            yield { event: { case: "peerDisconnected" as const, value: event.peerId } };
            break;
          default:
            event satisfies never;
        }
      }
    },
    detachAgent: async ({ agentId }) => {
      const { others, isAwaited } = await agents.detach(agentId);
      return { others, stoppingPid: isAwaited ? Deno.pid : 0 };
    },
  } satisfies Partial<RpcHandlers<typeof AdminService>>;
}
