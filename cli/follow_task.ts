import type { TaskHandle, TaskStatus } from "../sdk/mod.ts";
import { type Output, visible } from "./output.ts";
import { messageText } from "./task_text.ts";

export interface FollowOptions {
  signal: AbortSignal;
  output: Output;
  /** Ends the following early. Default: only when the task can go no further by itself. */
  until?: (status: TaskStatus) => boolean;
}

/** Tells each change of a task on stderr, with the seconds since the start, until the task is over or asks something. */
export async function followTask(handle: TaskHandle, options: FollowOptions): Promise<void> {
  const { signal, output, until = () => false } = options;
  const startedAtMs = performance.now();
  for await (const { status, message, error } of handle.events({ signal })) {
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
    const said = error ?? (status === "completed" ? "" : messageText(message));
    output.note(`${output.noteStyle("dim", `${seconds} s`)}  ${status}  ${visible(said)}`.trimEnd());
    if (status === "input_required" || until(status)) return;
  }
}
