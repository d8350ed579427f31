import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";

/** What the existing network's state machine allows; everything else it drops with a warning. */
const ALLOWED: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  [TaskStatus.UNSPECIFIED]: [],
  [TaskStatus.SUBMITTED]: [TaskStatus.WORKING, TaskStatus.REJECTED, TaskStatus.CANCELED],
  [TaskStatus.WORKING]: [
    TaskStatus.COMPLETED,
    TaskStatus.FAILED,
    TaskStatus.CANCELED,
    TaskStatus.INPUT_REQUIRED,
  ],
  [TaskStatus.INPUT_REQUIRED]: [TaskStatus.WORKING, TaskStatus.CANCELED],
  [TaskStatus.COMPLETED]: [],
  [TaskStatus.FAILED]: [],
  [TaskStatus.CANCELED]: [],
  [TaskStatus.REJECTED]: [],
  [TaskStatus.AUTH_REQUIRED]: [],
};

/** What became of a change: taken, or dropped for one of two reasons. */
export type Verdict = "taken" | "illegal" | "unknown_task";

/** The tasks of a peer of the existing network, which keeps one table for those it sent and those it received. */
export class StrictTasks {
  readonly #statuses = new Map<string, TaskStatus>();

  /** A new task; one with a known id starts over. */
  submit(taskId: string): Verdict {
    this.#statuses.set(taskId, TaskStatus.SUBMITTED);
    return "taken";
  }

  /** Moves a task on, if the table allows it. */
  move(taskId: string, to: TaskStatus): Verdict {
    const from = this.#statuses.get(taskId);
    if (from === undefined) return "unknown_task";
    if (!ALLOWED[from].includes(to)) return "illegal";
    this.#statuses.set(taskId, to);
    return "taken";
  }

  /** The name of a task's status, or undefined for an unknown task. */
  statusOf(taskId: string): string | undefined {
    const status = this.#statuses.get(taskId);
    return status === undefined ? undefined : TaskStatus[status];
  }
}
