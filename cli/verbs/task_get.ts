import { EXIT_OK } from "../exit_codes.ts";
import { openSession } from "../session.ts";
import { saveResult } from "../task_result.ts";
import { describeTask } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskGetOptions {
  readonly output?: string;
  readonly refresh?: boolean;
}

/** Prints a task, when asked as its agent's node knows it. */
export async function run(context: VerbContext<TaskGetOptions>): Promise<number> {
  const { args: [taskId = ""], options, output, logger, signal } = context;
  const { refresh = false } = options;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: refresh });
  const handle = await session.node.getTaskHandle(taskId);
  const task = refresh ? await handle.refresh({ fromPeer: true, signal }) : handle.task;
  output.result(task, () => describeTask(task));
  if (options.output !== undefined) await saveResult(task, options.output, output);
  return EXIT_OK;
}
