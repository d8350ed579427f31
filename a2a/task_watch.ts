import { CodedError } from "../core/errors.ts";
import type { Artifact, Message, TaskRecord, TaskStatus } from "./model.ts";
import { isTerminal } from "./state_machine.ts";

const MAX_WATCHERS = 10_000;

/** A change of a task, with what was said with it. */
export interface TaskUpdate {
  readonly taskId: string;
  /** The other side of the task, as it now is; empty while a task for a skill has no agent. */
  readonly peerId: string;
  readonly generation: number;
  readonly status: TaskStatus;
  /** When it happened, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly message: Message | undefined;
  /** The results, with the last update of a completed task. */
  readonly artifacts: readonly Artifact[];
  readonly errorMessage: string;
}

/** From where a subscriber wants to be told. */
export interface WatchOptions {
  /** Every change behind this generation; undefined: the current state, then what is new. */
  afterGeneration?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Tells subscribers the changes of tasks. Nothing is queued for them: a subscriber reads the record when it is ready for
 * more, so that a slow one costs nothing and misses nothing.
 */
export class TaskWatch {
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #stop = new AbortController();
  #count = 0;

  /** @param load the record as it stands. */
  constructor(readonly load: (taskId: string) => Promise<TaskRecord | undefined>) {}

  /** The task has changed. */
  notify(taskId: string): void {
    const waiting = this.#waiting.get(taskId);
    if (waiting === undefined) return;
    this.#waiting.delete(taskId);
    for (const wake of waiting) wake();
  }

  /**
   * The changes of a task, to the last one. @throws CodedError `not_found`, `resource_exhausted`, `out_of_range` when changes
   * that were asked for are not kept any more; `cancelled` when the daemon stops.
   */
  async *updates(taskId: string, options: WatchOptions = {}): AsyncGenerator<TaskUpdate> {
    if (this.#count >= MAX_WATCHERS) {
      throw new CodedError("resource_exhausted", `Cannot subscribe: ${this.#count} subscriptions are open`);
    }
    this.#count++;
    const { signal = new AbortController().signal } = options;
    let told = options.afterGeneration;
    let leave = () => {};
    try {
      while (!signal.aborted) {
        this.#stop.signal.throwIfAborted();
        const { promise: changed, resolve } = Promise.withResolvers<void>();
        leave = this.#onChange(taskId, { wake: resolve, signal });
        const record = await this.load(taskId);
        if (record === undefined) throw new CodedError("not_found", `No task ${taskId} on this node`);
        for (const update of updatesOf(record, told)) yield update;
        told = record.task.generation;
        if (isTerminal(record.task.status)) return;
        await changed;
      }
    } finally {
      leave();
      this.#count--;
    }
  }

  /** Ends all subscriptions with `error`. */
  close(error: CodedError): void {
    this.#stop.abort(error);
    for (const taskId of [...this.#waiting.keys()]) this.notify(taskId);
  }

  /** Calls `wake` once, when the task changes, the signal fires or what this answers is called. */
  #onChange(taskId: string, { wake, signal }: { wake: () => void; signal: AbortSignal }): () => void {
    const waiting = this.#waiting.get(taskId) ?? new Set();
    const once = () => {
      signal.removeEventListener("abort", once);
      waiting.delete(once);
      if (waiting.size === 0 && this.#waiting.get(taskId) === waiting) this.#waiting.delete(taskId);
      wake();
    };
    this.#waiting.set(taskId, waiting.add(once));
    signal.addEventListener("abort", once, { once: true });
    if (signal.aborted) once();
    return once;
  }
}

/** The changes behind `told`, or the current state when nothing was asked for. */
function updatesOf(record: TaskRecord, told: number | undefined): TaskUpdate[] {
  const { task, events } = record;
  if (told === undefined) {
    const message = task.messages.findLast((one) => one.role === "agent");
    const { generation, status, updatedAtMs: atMs } = task;
    return [toUpdate(record, { generation, status, atMs, message })];
  }
  const oldest = events[0]?.generation ?? 1;
  if (told + 1 < oldest) {
    throw new CodedError(
      "out_of_range",
      `Cannot replay task ${task.taskId} behind generation ${told}: only ${oldest} and later are kept. ` +
        "Get the task, then subscribe without a generation",
    );
  }
  return events.filter(({ generation }) => generation > told).map(
    ({ generation, status, atMs, messageId }) => {
      const message = messageId === ""
        ? undefined
        : task.messages.findLast((one) => one.messageId === messageId);
      return toUpdate(record, { generation, status, atMs, message });
    },
  );
}

function toUpdate(
  { task }: TaskRecord,
  { generation, status, atMs, message }: Pick<TaskUpdate, "generation" | "status" | "atMs" | "message">,
): TaskUpdate {
  const isLast = generation === task.generation;
  return {
    taskId: task.taskId,
    peerId: task.peerId,
    generation,
    status,
    atMs,
    message,
    artifacts: isLast ? task.artifacts : [],
    errorMessage: isLast ? task.errorMessage : "",
  };
}
