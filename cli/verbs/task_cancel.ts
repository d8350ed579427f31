import { EXIT_OK } from "../exit_codes.ts";
import { visible } from "../output.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Cancels a task. */
export async function run(context: VerbContext): Promise<number> {
  const { args: [taskId = ""], output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal, network: false });
  const handle = await session.node.getTaskHandle(taskId);
  await handle.cancel();
  output.result(handle.task, () => [`Task ${visible(taskId)} is ${handle.status}.`]);
  if (session.isOwn) output.note("The other side is told when a daemon runs on this home.");
  return EXIT_OK;
}
