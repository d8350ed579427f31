import { CodedError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import { NATType } from "../../gen/agentanycast/v1/common_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { toDidKey } from "../../identity/mod.ts";
import type { P2pHost, PeerConnection } from "../../p2p/mod.ts";
import { fromCard, toCard } from "../convert/card.ts";
import { toCardCheck } from "../convert/card_check.ts";
import { toDiscoveredAgent } from "../convert/discovered_agent.ts";
import { toTimestamp } from "../convert/time.ts";
import { checkPeerId } from "./check_peer_id.ts";
import type { NodeServiceDeps } from "./node_service_deps.ts";
import { toPeerInfo } from "./peer_info.ts";
import { createRpcService, type RpcHandlers, type RpcService } from "../../rpc/rpc_service.ts";
import { agentHandlers } from "./agent_handlers.ts";
import { streamHandlers } from "./stream_handlers.ts";
import { adminHandlers, taskClientHandlers, taskServerHandlers } from "./task_handlers.ts";

type NodeHandlers = RpcHandlers<typeof NodeService>;

/** `NodeService` and `AdminService` over the use cases of the daemon. */
export function createNodeServices(deps: NodeServiceDeps): readonly RpcService[] {
  return [
    createRpcService(NodeService, {
      ...nodeHandlers(deps),
      ...peerHandlers(deps),
      ...taskClientHandlers(deps),
      ...taskServerHandlers(deps),
      ...streamHandlers(deps),
      ...discoveryHandlers(deps),
    }),
    createRpcService(AdminService, { ...adminHandlers(deps), ...agentHandlers(deps) }),
  ];
}

const NAT_TYPES = {
  unknown: NATType.NAT_TYPE_UNSPECIFIED,
  public: NATType.NAT_TYPE_PUBLIC,
  private: NATType.NAT_TYPE_PRIVATE,
} as const;

function toReachability(host: P2pHost) {
  const { nat, mapping, observed, ports } = host.reachability();
  return {
    natType: NAT_TYPES[nat],
    natMapping: mapping,
    observedAddresses: observed,
    portMapping: { gateway: "", reason: "", ...ports, addresses: [...ports.addresses] },
    relays: host.relays().filter(({ state }) => state.kind !== "no_relay").map((relay) => ({
      peerId: relay.relayId,
      state: relay.state.kind,
      reason: "reason" in relay.state ? relay.state.reason : "",
      addresses: "addresses" in relay.state ? [...relay.state.addresses] : [],
      roundTripMs: relay.roundTripMs ?? 0,
      address: relay.address ?? "",
    })),
  };
}

function nodeHandlers({ host, cards, agents, exchange, home, startedAtMs }: NodeServiceDeps) {
  return {
    getNodeInfo: () => ({
      nodeInfo: {
        peerId: host.peerId,
        listenAddresses: host.addresses(),
        connectedPeers: host.peers().length,
        startedAt: toTimestamp(startedAtMs),
        version: VERSION,
        didKey: toDidKey(host.peerId),
        home,
        pid: Deno.pid,
        ...toReachability(host),
      },
      card: cards.own && toCard(cards.own),
    }),
    setAgentCard: async ({ card }) => {
      if (card === undefined) throw new CodedError("invalid_argument", "The request has no agent card");
      await cards.setOwn(fromCard(card));
      agents.cardChanged();
      await exchange.announceCard();
      return {};
    },
  } satisfies Partial<NodeHandlers>;
}

function peerHandlers({ host, cards, exchange, trust }: NodeServiceDeps) {
  const describe = (peer: PeerConnection) => toPeerInfo(peer, cards);
  return {
    connectPeer: async ({ peerId, addresses }, { signal }) => {
      const peer = await host.connect(checkPeerId(peerId), addresses, { signal });
      await exchange.exchangeCards(peerId);
      return { peerInfo: await describe(peer) };
    },
    listPeers: async () => ({ peers: await Promise.all(host.peers().map(describe)) }),
    getPeerCard: async ({ peerId, check }) => {
      const card = checkPeerId(peerId) === host.peerId
        ? cards.own
        : await exchange.cardOf(peerId, { askAgain: true });
      if (card !== undefined) {
        return { card: toCard(card), ...check && { check: toCardCheck(await trust.cards.check(card)) } };
      }
      throw new CodedError(
        "not_found",
        `No agent card of ${peerId}: connect to it first, and see that its agent set one`,
      );
    },
  } satisfies Partial<NodeHandlers>;
}

/** Finding agents. */
function discoveryHandlers({ network }: NodeServiceDeps) {
  return {
    discover: async ({ skillId, skillPrefix, text, tags, limit }, { signal }) => {
      const { agents, failures } = await network.discover(
        { skill: skillId, prefix: skillPrefix, text, tags, limit },
        { signal },
      );
      const unasked = failures.map(({ source, reason }) => `${source}: ${reason}`);
      if (agents.length === 0 && unasked.length > 0) {
        throw new CodedError(
          "unavailable",
          `No such agent was found, but not everybody could be asked: ${unasked.join("; ")}; try again later`,
        );
      }
      return { agents: agents.map(toDiscoveredAgent), unasked };
    },
  } satisfies Partial<NodeHandlers>;
}
