import type { TaskFilter } from "../../sdk/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { openSession, type Session } from "../session.ts";
import { excerptOf } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskListOptions extends TaskFilter {
  readonly dead?: boolean;
}

/** Lists tasks, newest first, or the webhooks that were given up. */
export async function run(context: VerbContext<TaskListOptions>): Promise<number> {
  const { options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: false });
  if (options.dead === true) return await listDead(context, session);
  const tasks = await session.node.listTasks({ ...options, signal });
  output.result(tasks, () => {
    if (tasks.length === 0) return ["No tasks."];
    const rows = tasks.map((task) =>
      [
        task.taskId,
        task.status,
        task.direction ?? "",
        task.createdAt?.toISOString() ?? "",
        task.peerId ?? "",
        excerptOf(task),
      ].map(visible)
    );
    return toColumns([["TASK", "STATUS", "DIRECTION", "CREATED", "PEER", "TEXT"], ...rows]);
  });
  return EXIT_OK;
}

async function listDead(
  { options: { limit }, output, signal }: VerbContext<TaskListOptions>,
  { node }: Session,
): Promise<number> {
  const dead = await node.listDeadLetters({ ...(limit !== undefined && { limit }), signal });
  output.result(dead, () => {
    if (dead.length === 0) return ["No webhook was given up."];
    const rows = dead.map(({ taskId, webhookId, givenUpAt, url, reason }) =>
      [taskId, webhookId, givenUpAt.toISOString(), url, reason].map(visible)
    );
    return toColumns([["TASK", "WEBHOOK", "GIVEN UP", "URL", "REASON"], ...rows]);
  });
  return EXIT_OK;
}
