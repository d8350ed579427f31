import type { AgentCard } from "../model.ts";
import { Node } from "../node.ts";
import type { NodeOptions } from "../node_options.ts";
import type { TaskHandlerOptions } from "../task_handlers.ts";
import { toTaskHandler } from "./agent_handler.ts";
import type { AgentRun } from "./agent_run.ts";

/** How an agent is put on the network. */
export interface ServeAgentOptions extends NodeOptions {
  /** What it says about itself. */
  card: AgentCard;
  /** How its tasks are handled. */
  handler?: TaskHandlerOptions;
}

/**
 * Puts an agent of a framework on the network: a started node that hands it the tasks that come.
 *
 * ```ts ignore
 * await using node = await serveAgent(langGraph(graph), { card: { name: "Planner", skills: [{ id: "plan" }] } });
 * await node.serveForever();
 * ```
 *
 * Throws as `Node.start` does.
 */
export async function serveAgent(
  run: AgentRun,
  { handler = {}, ...options }: ServeAgentOptions,
): Promise<Node> {
  const node = new Node(options);
  node.onTask(toTaskHandler(run), handler);
  await node.start();
  return node;
}
