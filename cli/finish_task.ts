import { isInterrupted, type TaskHandle } from "../sdk/mod.ts";
import { toCall } from "./call_text.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { EXIT_FAILURE, EXIT_INPUT_REQUIRED, EXIT_INTERRUPTED, EXIT_OK } from "./exit_codes.ts";
import { followTask } from "./follow_task.ts";
import { visibleLines } from "./output.ts";
import { LineReader } from "./read_text.ts";
import { printResult, saveResult } from "./task_result.ts";
import { messageText } from "./task_text.ts";
import type { VerbContext } from "./verb.ts";

/** What finishing a task needs of the command line. */
export interface FinishOptions {
  /** How long to wait for the agent each time it is its turn, in milliseconds. */
  readonly timeout: number;
  /** Folder for the files of the result. */
  readonly output?: string;
}

/**
 * Follows a task to its end and prints what came of it. When the agent asks something, a person at the terminal is asked;
 * otherwise the call to answer with is told. Answers the exit code; throws `deadline_exceeded`.
 */
export async function finishTask(
  context: VerbContext<FinishOptions>,
  handle: TaskHandle,
  options: { onStall?: () => Promise<void> } = {},
): Promise<number> {
  const { output, stdin, signal } = context;
  const isAnswerable = stdin.isTerminal && output.isWatched && !output.json;
  using lines = new LineReader(stdin);
  while (true) {
    if (!await follow(context, handle, options)) return EXIT_INTERRUPTED;
    if (!isInterrupted(handle.status)) return await finish(context, handle);
    tellQuestion(context, handle, { isAnswerable });
    if (!isAnswerable) return EXIT_INPUT_REQUIRED;
    const answer = await lines.next(signal);
    if (answer === undefined) return EXIT_INPUT_REQUIRED;
    await handle.reply(answer, { signal });
  }
}

/** False when the user has had enough. */
async function follow(
  context: VerbContext<FinishOptions>,
  handle: TaskHandle,
  { onStall }: { onStall?: () => Promise<void> },
): Promise<boolean> {
  const { options, output, signal } = context;
  using deadline: Deadline = startDeadline(options.timeout, signal);
  try {
    await followTask(handle, { signal: deadline.signal, output, ...(onStall && { onStall }) });
    return true;
  } catch (error) {
    const look = `Look at it later: ${toCall(`task get ${handle.taskId}`, options)}`;
    if (signal.aborted) {
      output.note(`Stopped waiting; the task goes on. ${look}`);
      return false;
    }
    deadline.throwIfExpired(`No result within ${options.timeout / 1000} s; the task goes on. ${look}`);
    throw error;
  }
}

async function finish({ output, options }: VerbContext<FinishOptions>, handle: TaskHandle): Promise<number> {
  const task = await handle.refresh();
  if (output.json) output.result(task, () => []);
  else printResult(task, output);
  if (options.output !== undefined) await saveResult(task, options.output, output);
  return task.status === "completed" ? EXIT_OK : EXIT_FAILURE;
}

function tellQuestion(
  { output, options }: VerbContext<FinishOptions>,
  { task, taskId }: TaskHandle,
  { isAnswerable }: { isAnswerable: boolean },
): void {
  const question = messageText(task.messages.findLast(({ role }) => role === "agent"));
  const call = toCall(`task reply ${taskId} '...'`, options);
  if (output.json) return output.result(task, () => []);
  output.note("The agent asks:");
  for (const line of visibleLines(question || "(nothing in words)")) output.note(`  ${line}`);
  output.note(isAnswerable ? "Your answer, in one line:" : `Answer it: ${call}`);
}
