import type { Part, Task } from "../sdk/mod.ts";
import { type Output, visible, visibleLines } from "./output.ts";
import { saveFiles } from "./saved_files.ts";
import { describePart, filesOf, messageText } from "./task_text.ts";

/** Prints what a finished task has to say: text, data and addresses on stdout, the rest as notes. */
export function printResult(task: Task, output: Output): void {
  if (task.status !== "completed") {
    const last = task.messages.findLast(({ role }) => role === "agent");
    for (const line of visibleLines(task.error ?? messageText(last))) output.note(line);
    return;
  }
  const parts = resultParts(task);
  for (const part of parts) {
    for (const line of describePart(part)) part.raw === undefined ? output.print(line) : output.note(line);
  }
  if (parts.length === 0) output.note("The agent sent no result.");
}

/** Saves the files of a task's result in `folder` and tells where they are. */
export async function saveResult(task: Task, folder: string, output: Output): Promise<void> {
  const paths = await saveFiles(folder, filesOf(task.artifacts));
  for (const path of paths) output.note(`Saved ${visible(path)}`);
  if (paths.length === 0) output.note("The result has no files to save.");
}

/** The artifacts' parts; without artifacts, those of the agent's last message. */
function resultParts({ artifacts, messages }: Task): readonly Part[] {
  if (artifacts.length > 0) return artifacts.flatMap(({ parts }) => parts);
  return messages.findLast(({ role }) => role === "agent")?.parts ?? [];
}
