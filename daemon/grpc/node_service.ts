import type { AgentCard, Engine, TaskUpdate } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import { ConnectionType } from "../../gen/agentanycast/v1/common_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService, type SendTaskRequest } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { isPeerId, toDidKey } from "../../identity/mod.ts";
import type { P2pHost, PeerConnection } from "../../p2p/mod.ts";
import type { CardBook } from "../cards.ts";
import { fromCard, toCard } from "../convert/card.ts";
import {
  fromArtifact,
  fromDirection,
  fromMessage,
  fromStatus,
  toArtifact,
  toMessage,
  toStatus,
  toTask,
} from "../convert/task.ts";
import { toTimestamp } from "../convert/time.ts";
import { createRpcService, type RpcHandlers, type RpcService } from "./rpc.ts";

/** Cards over the network. */
export interface CardExchange {
  /** Offers a changed own card to every connected peer. */
  announceCard(): Promise<void>;
  /** The card of a peer: the one at hand, else the one it answers with; asked before in vain, only with `askAgain`. */
  cardOf(peerId: string, options?: { askAgain?: boolean }): Promise<AgentCard | undefined>;
  /** Exchanges cards with a connected peer; never throws. */
  exchangeCards(peerId: string): Promise<void>;
}

/** What the services work with. */
export interface NodeServiceDeps {
  engine: Engine;
  host: P2pHost;
  cards: CardBook;
  exchange: CardExchange;
  home: string;
  startedAtMs: number;
  /** Asks the daemon to stop; returns before it has. */
  requestStop: () => void;
}

type NodeHandlers = RpcHandlers<typeof NodeService>;

/** `NodeService` and `AdminService` over the use cases of the daemon. */
export function createNodeServices(deps: NodeServiceDeps): readonly RpcService[] {
  return [
    createRpcService(NodeService, {
      ...nodeHandlers(deps),
      ...peerHandlers(deps),
      ...taskClientHandlers(deps),
      ...taskServerHandlers(deps),
      ...laterHandlers(),
    }),
    createRpcService(AdminService, adminHandlers(deps)),
  ];
}

function nodeHandlers({ host, cards, exchange, home, startedAtMs }: NodeServiceDeps) {
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
      },
      card: cards.own && toCard(cards.own),
    }),
    setAgentCard: async ({ card }) => {
      if (card === undefined) throw new CodedError("invalid_argument", "The request has no agent card");
      await cards.setOwn(fromCard(card));
      await exchange.announceCard();
      return {};
    },
  } satisfies Partial<NodeHandlers>;
}

function peerHandlers({ host, cards, exchange }: NodeServiceDeps) {
  const toPeerInfo = async (peer: PeerConnection) => ({
    peerId: peer.peerId,
    addresses: [peer.address, ...peer.addresses.filter((address) => address !== peer.address)],
    connectionType: peer.relayed ? ConnectionType.RELAY : ConnectionType.DIRECT,
    connectedAt: toTimestamp(peer.connectedAtMs),
    direction: peer.direction,
    foundBy: peer.foundBy,
    didKey: toDidKey(peer.peerId),
    agentName: (await cards.of(peer.peerId))?.name ?? "",
  });
  return {
    connectPeer: async ({ peerId, addresses }, { signal }) => {
      const peer = await host.connect(checkPeerId(peerId), addresses, { signal });
      await exchange.exchangeCards(peerId);
      return { peerInfo: await toPeerInfo(peer) };
    },
    listPeers: async () => ({ peers: await Promise.all(host.peers().map(toPeerInfo)) }),
    getPeerCard: async ({ peerId }) => {
      const card = checkPeerId(peerId) === host.peerId
        ? cards.own
        : await exchange.cardOf(peerId, { askAgain: true });
      if (card !== undefined) return { card: toCard(card) };
      throw new CodedError(
        "not_found",
        `No agent card of ${peerId}: connect to it first, and see that its agent set one`,
      );
    },
  } satisfies Partial<NodeHandlers>;
}

function taskClientHandlers({ engine, host }: NodeServiceDeps) {
  return {
    sendTask: async (request, { signal }) => {
      if (request.message === undefined) {
        throw new CodedError("invalid_argument", "The request has no message");
      }
      const message = fromMessage(request.message, "user");
      const { taskId, contextId, targetSkillId, metadata } = request;
      const peerId = targetOf(request);
      const now = {
        messageId: message.messageId || crypto.randomUUID(),
        createdAtMs: message.createdAtMs || Date.now(),
      };
      const sent = { peerId, message: { ...message, ...now }, taskId, contextId, targetSkillId, metadata };
      return { task: toTask(await engine.sendTask(sent, { signal }), host.peerId) };
    },
    getTask: async ({ taskId }) => ({ task: toTask(await engine.getTask(taskId), host.peerId) }),
    cancelTask: async ({ taskId }) => ({ task: toTask(await engine.cancelTask(taskId), host.peerId) }),
    subscribeTaskUpdates: async function* ({ taskId }, { signal }) {
      for await (const update of await engine.subscribe(taskId, { signal })) yield toUpdate(update);
    },
  } satisfies Partial<NodeHandlers>;
}

function taskServerHandlers({ engine, host, exchange }: NodeServiceDeps) {
  const optional = (message: SendTaskRequest["message"]) => message && fromMessage(message, "agent");
  return {
    subscribeIncomingTasks: async function* (_request, { signal }) {
      for await (const task of engine.subscribeIncoming({ signal })) {
        const card = await exchange.cardOf(task.peerId);
        yield { task: toTask(task, host.peerId), senderCard: card && toCard(card) };
      }
    },
    updateTaskStatus: async ({ taskId, status, message }) => {
      await engine.updateTask(taskId, fromStatus(status), optional(message));
      return {};
    },
    completeTask: async ({ taskId, artifacts, message }) => {
      await engine.completeTask(taskId, artifacts.map(fromArtifact), optional(message));
      return {};
    },
    failTask: async ({ taskId, errorMessage }) => {
      await engine.failTask(taskId, errorMessage || "The agent gave no reason");
      return {};
    },
  } satisfies Partial<NodeHandlers>;
}

/** What this version does not do yet answers with a sentence, not with silence. */
function laterHandlers() {
  const refuse = (what: string): never => {
    throw new CodedError("unimplemented", `${what} not available in version ${VERSION}`);
  };
  return {
    subscribeTaskStream: () => refuse("Streaming of artifacts is"),
    sendStreamingArtifact: () => refuse("Streaming of artifacts is"),
    discover: () => refuse("Discovery by skill is"),
  } satisfies Partial<NodeHandlers>;
}

function adminHandlers({ engine, host, requestStop }: NodeServiceDeps): RpcHandlers<typeof AdminService> {
  return {
    listTasks: async ({ direction, statuses, pageSize, pageToken }) => {
      const wanted = fromDirection(direction);
      const page = await engine.listTasks({
        ...(wanted && { direction: wanted }),
        statuses: statuses.map(fromStatus),
        pageSize: pageSize > 0 ? pageSize : 50,
        pageToken,
      });
      return {
        tasks: page.tasks.map((task) => toTask(task, host.peerId)),
        nextPageToken: page.nextPageToken,
      };
    },
    stopNode: () => {
      requestStop();
      return {};
    },
  };
}

function toUpdate({ task, message }: TaskUpdate) {
  return {
    taskId: task.taskId,
    status: toStatus(task.status),
    message: message && toMessage(message),
    artifacts: task.artifacts.map(toArtifact),
    errorMessage: task.errorMessage,
  };
}

function targetOf({ target }: SendTaskRequest): string {
  switch (target.case) {
    case "peerId":
      return checkPeerId(target.value);
    case "skillId":
      throw new CodedError(
        "unimplemented",
        `Sending to a skill is not available in version ${VERSION}: name a peer id`,
      );
    case "url":
      throw new CodedError(
        "unimplemented",
        `Sending to a URL is not available in version ${VERSION}: name a peer id`,
      );
    case undefined:
      throw new CodedError("invalid_argument", "The request has no target: name a peer id");
    default:
      return target satisfies never;
  }
}

function checkPeerId(peerId: string): string {
  if (isPeerId(peerId)) return peerId;
  throw new CodedError("invalid_argument", `"${peerId}" is no peer id: they look like 12D3KooW…`);
}
