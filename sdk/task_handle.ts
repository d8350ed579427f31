import { textOf } from "./convert.ts";
import type { DaemonClient } from "./daemon_client.ts";
import {
  TaskCanceledError,
  type TaskError,
  TaskFailedError,
  TaskInputRequiredError,
  TaskRejectedError,
  TaskTimeoutError,
} from "./errors.ts";
import { type Artifact, isTerminal, type Task, type TaskStatus, type TaskUpdate } from "./model.ts";
import { watchTask } from "./task_watch.ts";

/** How long to wait for a task. */
export interface WaitOptions {
  /** Throws `TaskTimeoutError` after this many milliseconds. Default: no limit. */
  timeoutMs?: number;
  /** Ends the waiting, not the task. */
  signal?: AbortSignal;
}

/** A task this node has sent. What it tells is as of the last update seen by `wait`, `events`, `refresh` or `cancel`. */
export interface TaskHandle {
  /** The id, which `Node.getTaskHandle` takes. */
  readonly taskId: string;
  /** Where the task stands. */
  readonly status: TaskStatus;
  /** Its results; all of them once it is completed. */
  readonly artifacts: readonly Artifact[];
  /** Why the task failed or was rejected. */
  readonly error: string | undefined;
  /** The whole snapshot. */
  readonly task: Task;
  /**
   * Resolves with the completed task. Rejects with `TaskFailedError`, `TaskCanceledError` or `TaskRejectedError` and the
   * agent's reason, `TaskInputRequiredError` and its question, `TaskTimeoutError`, or `DaemonConnectionError` when the daemon
   * stays away.
   */
  wait(options?: WaitOptions): Promise<Task>;
  /** The updates of the task, the current state first; ends after the final one. A lost connection is made up for. */
  events(options?: { signal?: AbortSignal }): AsyncIterable<TaskUpdate>;
  /** Asks the daemon for the current state. */
  refresh(): Promise<Task>;
  /** Asks both sides to stop the task. Throws `failed_precondition` when it is over already. */
  cancel(): Promise<void>;
}

/** {@link TaskHandle} on a daemon's connection. */
export class DaemonTaskHandle implements TaskHandle {
  readonly #daemon: DaemonClient;
  readonly #reconnectMs: number;
  #task: Task;

  constructor(daemon: DaemonClient, task: Task, options: { reconnectMs: number }) {
    this.#daemon = daemon;
    this.#task = task;
    this.#reconnectMs = options.reconnectMs;
  }

  get taskId(): string {
    return this.#task.taskId;
  }

  get status(): TaskStatus {
    return this.#task.status;
  }

  get artifacts(): readonly Artifact[] {
    return this.#task.artifacts;
  }

  get error(): string | undefined {
    return this.#task.error;
  }

  get task(): Task {
    return this.#task;
  }

  async wait(options: WaitOptions = {}): Promise<Task> {
    const controller = new AbortController();
    const { timeoutMs, signal } = options;
    const expired = new TaskTimeoutError(
      `Task ${this.taskId} is not finished after ${timeoutMs} ms; it goes on`,
    );
    const timer = timeoutMs === undefined
      ? undefined
      : setTimeout(() => controller.abort(expired), timeoutMs);
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      for await (const update of this.events({ signal: controller.signal })) {
        if (update.status === "input_required") throw questionOf(this.#task, update);
      }
      if (this.#task.status === "completed") return this.#task;
      throw outcomeError(this.#task);
    } catch (error) {
      throw controller.signal.reason === expired ? expired : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async *events(options: { signal?: AbortSignal } = {}): AsyncGenerator<TaskUpdate, void> {
    if (isTerminal(this.#task.status)) {
      yield this.#task;
      return;
    }
    const signal = options.signal ?? new AbortController().signal;
    for await (
      const update of watchTask(this.#daemon, this.taskId, { signal, reconnectMs: this.#reconnectMs })
    ) {
      this.#apply(update);
      yield update;
    }
  }

  async refresh(): Promise<Task> {
    return this.#task = await this.#daemon.getTask(this.taskId);
  }

  async cancel(): Promise<void> {
    this.#task = await this.#daemon.cancelTask(this.taskId);
  }

  #apply({ status, artifacts, message, error }: TaskUpdate): void {
    const known = this.#task.messages;
    const isNew = message !== undefined && !known.some(({ messageId }) => messageId === message.messageId);
    this.#task = {
      ...this.#task,
      status,
      artifacts: artifacts.length > 0 ? artifacts : this.#task.artifacts,
      messages: isNew ? [...known, message] : known,
      ...(error === undefined ? {} : { error }),
    };
  }
}

function questionOf(task: Task, { message }: TaskUpdate): TaskInputRequiredError {
  const text = message === undefined ? "" : textOf([message]);
  return new TaskInputRequiredError(text || "The agent needs more input", task, message);
}

function outcomeError(task: Task): TaskError {
  const last = task.messages.at(-1);
  const reason = task.error ?? (last?.role === "agent" ? textOf([last]) : "");
  switch (task.status) {
    case "canceled":
      return new TaskCanceledError(reason || `Task ${task.taskId} was cancelled`, task);
    case "rejected":
      return new TaskRejectedError(reason || `Task ${task.taskId} was rejected`, task);
    default:
      return new TaskFailedError(reason || `Task ${task.taskId} failed`, task);
  }
}
