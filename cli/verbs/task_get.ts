import { EXIT_OK } from "../exit_codes.ts";
import { openSession } from "../session.ts";
import { saveResult } from "../task_result.ts";
import { describeTask } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskGetOptions {
  readonly output?: string;
}

/** Prints a task. */
export async function run(context: VerbContext<TaskGetOptions>): Promise<number> {
  const { args: [taskId = ""], options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: false });
  const task = await session.node.getTask(taskId);
  output.result(task, () => describeTask(task));
  if (options.output !== undefined) await saveResult(task, options.output, output);
  return EXIT_OK;
}
