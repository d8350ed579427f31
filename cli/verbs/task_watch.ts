import type { TaskUpdate } from "../../sdk/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { type Output, visible } from "../output.ts";
import { openSession } from "../session.ts";
import { describePart, messageText } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskWatchOptions {
  readonly after?: number;
}

/** Prints the changes of a task as they come, until it is over. */
export async function run(context: VerbContext<TaskWatchOptions>): Promise<number> {
  const { args: [taskId = ""], options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  const handle = await session.node.getTaskHandle(taskId);
  const { after: afterGeneration } = options;
  for await (
    const update of handle.events({ signal, ...(afterGeneration !== undefined && { afterGeneration }) })
  ) {
    printUpdate(update, output);
  }
  return EXIT_OK;
}

function printUpdate(update: TaskUpdate, output: Output): void {
  const { status, message, error, artifacts, generation } = update;
  if (output.json) return output.printJson(update);
  const said = error ?? messageText(message);
  output.print(`${generation ?? "-"}  ${status}  ${visible(said)}`.trimEnd());
  for (const line of artifacts.flatMap(({ parts }) => parts.flatMap(describePart))) {
    output.print(`    ${line}`);
  }
}
