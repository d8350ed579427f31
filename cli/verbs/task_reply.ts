import { EXIT_OK } from "../exit_codes.ts";
import { type FinishOptions, finishTask } from "../finish_task.ts";
import { readText } from "../read_text.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskReplyOptions extends FinishOptions {
  readonly wait: boolean;
}

/** Answers the question of an agent and follows the task on. */
export async function run(context: VerbContext<TaskReplyOptions>): Promise<number> {
  const { args: [taskId = "", message = ""], options, output, stdin, logger, signal } = context;
  const text = message === "-" ? await readText(stdin) : message;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  const handle = await session.node.getTaskHandle(taskId);
  const task = await handle.reply(text, { signal });
  if (options.wait) return await finishTask(context, handle);
  output.result({ taskId, status: task.status }, () => [taskId]);
  if (session.isOwn) output.note("The agent gets it when a daemon runs on this home.");
  return EXIT_OK;
}
