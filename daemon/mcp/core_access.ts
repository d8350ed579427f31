import type { Task } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import { toDidKey } from "../../identity/mod.ts";
import { isOwner, type McpCaller, type NetworkAccess, type OutgoingTask } from "../../mcp/mod.ts";
import type { PeerConnection } from "../../p2p/mod.ts";
import type { AgentNetwork, TaskTarget } from "../agent_network.ts";
import type { DaemonCore } from "../daemon_core.ts";
import type { CallerId } from "../routed_transport.ts";
import { fromSdkMessage, toSdkCard, toSdkTask } from "./sdk_shapes.ts";

/** What MCP works with. */
export type CoreAccessDeps = Pick<DaemonCore, "network" | "engine" | "host" | "cards" | "wire">;

/** Tasks answered at most. */
const MAX_LISTED = 200;

/**
 * The network of this node on behalf of a caller. Who has proven a name by a token sees only tasks of its own; without any
 * tokens every caller is the user of this machine and sees all.
 */
export function coreAccess(core: CoreAccessDeps, { name }: McpCaller): NetworkAccess {
  const caller: CallerId = `mcp:${name}`;
  const owner = isOwner({ name });
  const tasks = new CallerTasks(core.engine, owner ? undefined : caller);
  return { ...agentAccess(core, { dialsAddresses: owner }), ...taskAccess(core, { caller, tasks }) };
}

function agentAccess(
  { network, host, cards, wire }: CoreAccessDeps,
  { dialsAddresses }: { dialsAddresses: boolean },
) {
  const toPeerInfo = async (peer: PeerConnection) => ({
    peerId: peer.peerId,
    addresses: [peer.address, ...peer.addresses.filter((address) => address !== peer.address)],
    connection: peer.relayed ? "relay" as const : "direct" as const,
    direction: peer.direction,
    did: toDidKey(peer.peerId),
    agentName: (await cards.of(peer.peerId))?.name ?? "",
  });
  return {
    info: () =>
      Promise.resolve({
        peerId: host.peerId,
        did: toDidKey(host.peerId),
        listenAddresses: host.addresses(),
        connectedPeers: host.peers().length,
        version: VERSION,
        nat: host.reachability().nat,
        ...(cards.own && { card: toSdkCard(cards.own) }),
      }),
    peers: () => Promise.all(host.peers().map(toPeerInfo)),
    connect: async (target) => {
      if (target.startsWith("/") && !dialsAddresses) {
        throw new CodedError(
          "permission_denied",
          "Addresses are dialed for the user of this machine only: name a peer id that this node knows",
        );
      }
      const peerId = target.startsWith("/") ? target.split("/p2p/").at(-1) ?? "" : target;
      const peer = await host.connect(peerId, target.startsWith("/") ? [target] : []);
      await wire.exchangeCards(peerId);
      return await toPeerInfo(peer);
    },
    card: async (peerId) => {
      const card = await network.cardOf(peerId);
      if (card !== undefined) return toSdkCard(card);
      throw new CodedError(
        "not_found",
        `No agent card of ${peerId}: connect to it first, and see that its agent set one`,
      );
    },
    discover: async ({ skill, text, tags, limit }) => {
      const { agents } = await network.discover({ skill: skill || undefined, text, tags, limit });
      return agents.map((agent) => ({
        ...agent,
        agentName: agent.name,
        agentDescription: agent.description,
        skills: agent.skills.map(({ id, description, tags }) => ({ skillId: id, description, tags })),
      }));
    },
  } satisfies Partial<NetworkAccess>;
}

function taskAccess(
  { network, engine }: CoreAccessDeps,
  { caller, tasks }: { caller: CallerId; tasks: CallerTasks },
) {
  return {
    send: async (task, options) =>
      toSdkTask(await network.send(toNetworkTask(task, { network, caller }), options)),
    task: async (taskId) => toSdkTask(await tasks.get(taskId)),
    tasks: async ({ limit = 50, status, direction }) => {
      const found = await tasks.list(
        Math.min(limit, MAX_LISTED),
        (task) =>
          (status === undefined || task.status === status) &&
          (direction === undefined || task.direction === direction),
      );
      return found.map(toSdkTask);
    },
    reply: async (taskId, message) => {
      const { peerId, direction } = await tasks.get(taskId);
      const target: TaskTarget = direction === "inbound" ? { kind: "own", caller } : { kind: "peer", peerId };
      return toSdkTask(await network.send({ target, taskId, message: fromSdkMessage(message) }));
    },
    cancel: async (taskId) => {
      await tasks.get(taskId);
      return toSdkTask(await engine.cancelTask(taskId));
    },
    watch: async function* (taskId, { signal }) {
      await tasks.get(taskId);
      for await (const _ of engine.subscribe(taskId, { signal })) {
        yield toSdkTask(await engine.getTask(taskId));
      }
    },
  } satisfies Partial<NetworkAccess>;
}

/** The tasks a caller may see. */
class CallerTasks {
  readonly #engine: AgentNetwork["engine"];
  readonly #owner: CallerId | undefined;

  constructor(engine: AgentNetwork["engine"], owner: CallerId | undefined) {
    this.#engine = engine;
    this.#owner = owner;
  }

  /** @throws CodedError `not_found`, also for one of somebody else. */
  async get(taskId: string): Promise<Task> {
    const task = await this.#engine.getTask(taskId);
    const { caller, peerId } = task;
    if (this.#owner === undefined || caller === this.#owner || peerId === this.#owner) return task;
    throw new CodedError("not_found", `There is no task ${taskId}`);
  }

  /** The newest ones that `isWanted`. */
  async list(limit: number, isWanted: (task: Task) => boolean): Promise<Task[]> {
    const found: Task[] = [];
    for await (const task of this.#all()) {
      if (!isWanted(task)) continue;
      found.push(task);
      if (found.length >= limit) break;
    }
    return found;
  }

  async *#all(): AsyncGenerator<Task> {
    if (this.#owner !== undefined) {
      for (const { taskId } of await this.#engine.tasksOf(this.#owner)) {
        yield await this.#engine.getTask(taskId);
      }
      return;
    }
    let pageToken = "";
    do {
      const page = await this.#engine.listTasks({ pageSize: MAX_LISTED, pageToken });
      yield* page.tasks;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}

function toNetworkTask(
  { taskId, target, message, skill, contextId, metadata, trace }: OutgoingTask,
  { network, caller }: { network: AgentNetwork; caller: CallerId },
) {
  return {
    taskId,
    target: toTaskTarget(target, { network, caller }),
    message: fromSdkMessage(message),
    targetSkillId: skill,
    contextId,
    metadata,
    trace,
    caller,
  };
}

function toTaskTarget(
  target: OutgoingTask["target"],
  { network, caller }: { network: AgentNetwork; caller: CallerId },
): TaskTarget {
  switch (target.kind) {
    case "peer":
      return target.peerId === network.peerId ? { kind: "own", caller } : target;
    case "skill":
      return { kind: "skill", skillId: target.skill };
    case "url":
      return target;
    default:
      return target satisfies never;
  }
}
