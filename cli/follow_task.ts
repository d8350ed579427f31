import { isInterrupted, type TaskHandle, type TaskStatus } from "../sdk/mod.ts";
import { type Output, visible } from "./output.ts";
import { messageText } from "./task_text.ts";

/** How long a task may stay where it was put before {@link FollowOptions.onStall} is called, in milliseconds. */
const STALL_MS = 3_000;

export interface FollowOptions {
  signal: AbortSignal;
  output: Output;
  /** Ends the following early. Default: only when the task can go no further by itself. */
  until?: (status: TaskStatus) => boolean;
  /** Called once when nobody has taken the task up for 3 s. */
  onStall?: () => Promise<void>;
}

/** Tells each change of a task on stderr, with the seconds since the start, until the task is over or asks something. */
export async function followTask(handle: TaskHandle, options: FollowOptions): Promise<void> {
  const { signal, output, until = () => false, onStall } = options;
  const startedAtMs = performance.now();
  let stalled: Promise<void> | undefined;
  const timer = setTimeout(() => stalled = onStall?.(), STALL_MS);
  try {
    for await (const { status, message, error } of handle.events({ signal })) {
      if (status !== "submitted") clearTimeout(timer);
      const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
      const said = error ?? (status === "completed" || message?.role === "user" ? "" : messageText(message));
      output.note(`${output.noteStyle("dim", `${seconds} s`)}  ${status}  ${visible(said)}`.trimEnd());
      if (isInterrupted(status) || until(status)) return;
    }
  } finally {
    clearTimeout(timer);
    await stalled;
  }
}
