import type { TaskFilter } from "../../sdk/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { openSession } from "../session.ts";
import { excerptOf } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

/** Lists tasks, newest first. */
export async function run(context: VerbContext<TaskFilter>): Promise<number> {
  const { options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: false });
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
