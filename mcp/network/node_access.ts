import type { Message, Node, Task } from "../../sdk/mod.ts";
import type { DiscoveryQuery, NetworkAccess, OutgoingTask, Target } from "./access.ts";

/** The network as a node of the SDK sees it. `node` is asked before each call: it may still be starting. */
export function nodeAccess(node: () => Promise<Node>): NetworkAccess {
  return {
    info: async () => await (await node()).info(),
    peers: async () => await (await node()).listPeers(),
    connect: async (target) => await (await node()).connectPeer(target),
    card: async (peerId) => await (await node()).getCard(peerId),
    discover: async ({ skill, text = "", tags = {}, limit }: DiscoveryQuery) =>
      await (await node()).discover(skill, { text, tags, limit }),
    send: async (task, { signal }) => await send(await node(), task, signal),
    task: async (taskId) => await (await node()).getTask(taskId),
    tasks: async (filter) => await (await node()).listTasks(filter),
    reply: async (taskId: string, message: Message) =>
      await (await (await node()).getTaskHandle(taskId)).reply(message),
    cancel: async (taskId) => await (await (await node()).getTaskHandle(taskId)).cancel(),
    watch: async function* (taskId, { signal }): AsyncGenerator<Task> {
      const handle = await (await node()).getTaskHandle(taskId);
      for await (const _ of handle.events({ signal })) yield handle.task;
    },
  };
}

async function send(node: Node, task: OutgoingTask, signal: AbortSignal): Promise<Task> {
  const { taskId, target, message, skill, contextId, metadata, trace = {} } = task;
  const handle = await node.sendTask(message, {
    ...targetOptions(target),
    taskId,
    ...trace,
    ...(skill !== undefined && { targetSkill: skill }),
    ...(contextId !== undefined && { contextId }),
    ...(metadata !== undefined && { metadata }),
    signal,
  });
  return handle.task;
}

function targetOptions(target: Target) {
  switch (target.kind) {
    case "peer":
      return { peerId: target.peerId };
    case "skill":
      return { skill: target.skill };
    case "url":
      return { url: target.url };
    default:
      return target satisfies never;
  }
}
