import type { TaskRecord } from "./model.ts";
import { isTerminal } from "./state_machine.ts";

/** How many tasks each caller of this node has sent through it that have not ended. */
export class SentTasks {
  readonly #byCaller = new Map<string, Set<string>>();

  /** Unfinished tasks of the caller, those that are about to be written included. */
  countOf(caller: string): number {
    return this.#byCaller.get(caller)?.size ?? 0;
  }

  /** Counts a task that is about to be written; {@link remove} when it is not, after all. False when it is counted. */
  add(caller: string, taskId: string): boolean {
    const tasks = this.#byCaller.get(caller) ?? new Set();
    if (tasks.has(taskId)) return false;
    this.#byCaller.set(caller, tasks.add(taskId));
    return true;
  }

  remove(caller: string, taskId: string): void {
    const tasks = this.#byCaller.get(caller);
    tasks?.delete(taskId);
    if (tasks?.size === 0) this.#byCaller.delete(caller);
  }

  /** Takes note of a task as it is now; to be called with every record. */
  onRecord({ task: { taskId, direction, caller, status } }: TaskRecord): void {
    if (direction !== "outbound" || caller === undefined) return;
    if (isTerminal(status)) this.remove(caller, taskId);
    else this.add(caller, taskId);
  }
}
