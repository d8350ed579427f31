import { toCall } from "../call_text.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { visible } from "../output.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Cancels a task, or asks its agent to. */
export async function run(context: VerbContext): Promise<number> {
  const { args: [taskId = ""], options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: false });
  const handle = await session.node.getTaskHandle(taskId);
  const task = await handle.cancel();
  output.result(task, () =>
    task.cancelRequested
      ? [
        `The cancellation of task ${
          visible(taskId)
        } is requested; its agent has not confirmed it yet, and the task is ` +
        `${task.status}. See what comes of it: ${toCall(`task watch ${taskId}`, options)}`,
      ]
      : [`Task ${visible(taskId)} is ${task.status}.`]);
  if (session.isOwn) output.note("The other side is told when a daemon runs on this home.");
  return EXIT_OK;
}
