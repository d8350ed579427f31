import { startTimer } from "../core/clock.ts";
import { NodeService, type SendTaskRequest } from "../gen/agentanycast/v1/node_service_pb.ts";
import { ArtifactFeed } from "./artifact_feed.ts";
import type { ArtifactStream } from "./artifact_stream.ts";
import { fromWireTask, textOf, toMessage, toUpdate, toWireMessage } from "./convert.ts";
import { ask, type CallOptions } from "./call_options.ts";
import type { DaemonClient } from "./daemon_client.ts";
import {
  AgentAnycastError,
  TaskCanceledError,
  type TaskError,
  TaskFailedError,
  TaskInputRequiredError,
  TaskRejectedError,
  TaskTimeoutError,
  toAgentAnycastError,
} from "./errors.ts";
import {
  type Artifact,
  isInterrupted,
  isTerminal,
  type MessageInput,
  type Task,
  type TaskStatus,
  type TaskUpdate,
} from "./model.ts";
import { refuseUnknown } from "./option_names.ts";
import { watchTask } from "./task_watch.ts";

/** How long to wait for a task. */
export interface WaitOptions {
  /** Throws `TaskTimeoutError` after this many milliseconds. Default: no limit. */
  timeoutMs?: number;
  /** Ends the waiting, not the task. */
  signal?: AbortSignal;
}

/** How to follow a task. */
export interface EventsOptions {
  /** Ends the following, not the task. */
  signal?: AbortSignal;
  /**
   * Tells every change behind this one, 0 for all, before what is new; nothing when the task has ended by then. Throws
   * `out_of_range` when the daemon does not keep them any more. Default: the state this handle has, then every change after it.
   */
  afterGeneration?: number;
}

/** A task this node has sent. What it tells is as of the last update seen by one of its methods. */
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
   * agent's reason, `TaskInputRequiredError` and its question (answer it with `reply`, then wait again), `TaskTimeoutError`, or
   * `DaemonConnectionError` when the daemon stays away.
   */
  wait(options?: WaitOptions): Promise<Task>;
  /**
   * The state this handle has, then every change after it, each once; ends after the final one. A lost connection is made up
   * for.
   */
  events(options?: EventsOptions): AsyncIterable<TaskUpdate>;
  /**
   * The results that the agent sends while it makes them, each as it begins, those that are there first; ends with the task. Read
   * them one after the other or at the same time, each to its end before another one is waited for.
   */
  streams(options?: { signal?: AbortSignal }): AsyncIterable<ArtifactStream>;
  /**
   * Answers the question of an agent: the task goes on. Safe to lose the connection in. Throws `failed_precondition` when the
   * task does not wait for input.
   */
  reply(message: MessageInput, options?: CallOptions): Promise<Task>;
  /**
   * Asks the daemon for the current state; with `fromPeer` that asks the agent's node first, which throws `unavailable` when it
   * does not answer and `unimplemented` when it cannot.
   */
  refresh(options?: { fromPeer?: boolean } & CallOptions): Promise<Task>;
  /**
   * Asks both sides to stop the task and resolves with it as it then stands: canceled, or with `cancelRequested` while the
   * agent's node has not confirmed, for instance because it is offline; `wait` tells the end. Throws `failed_precondition` when it
   * is over already.
   */
  cancel(options?: CallOptions): Promise<Task>;
}

/** {@link TaskHandle} on a daemon's connection. */
export class DaemonTaskHandle implements TaskHandle {
  readonly #daemon: DaemonClient;
  readonly #reconnectMs: number;
  readonly #target: SendTaskRequest["target"] | undefined;
  #task: Task;

  /** @param options.target where the task was sent. Default: to its peer. */
  constructor(
    daemon: DaemonClient,
    task: Task,
    options: { reconnectMs: number; target?: SendTaskRequest["target"] },
  ) {
    this.#daemon = daemon;
    this.#task = task;
    this.#reconnectMs = options.reconnectMs;
    this.#target = options.target;
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
    refuseUnknown(options, { timeoutMs: true, signal: true }, "wait()");
    const controller = new AbortController();
    const { timeoutMs, signal } = options;
    let expired: TaskTimeoutError | undefined;
    const expire = () => {
      const message = `Task ${this.taskId} is not finished after ${timeoutMs} ms; it goes on`;
      expired = new TaskTimeoutError(message);
      controller.abort(expired);
    };
    using _timer = timeoutMs === undefined ? undefined : startTimer(this.#daemon.clock, timeoutMs, expire);
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      // From how it stands now: an earlier question may have been answered elsewhere.
      for await (const update of this.#follow({ signal: controller.signal })) {
        if (isInterrupted(update.status)) throw questionOf(this.#task, update);
      }
      if (this.#task.status === "completed") return this.#task;
      throw outcomeError(this.#task);
    } catch (error) {
      throw expired !== undefined && controller.signal.reason === expired ? expired : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async *events({ signal, afterGeneration }: EventsOptions = {}): AsyncGenerator<TaskUpdate, void> {
    if (afterGeneration !== undefined) return yield* this.#follow({ signal, afterGeneration });
    const last = toUpdate(this.#task);
    yield last;
    if (!isTerminal(last.status)) yield* this.#follow({ signal, last, afterGeneration: last.generation });
  }

  streams({ signal }: { signal?: AbortSignal } = {}): AsyncIterable<ArtifactStream> {
    return new ArtifactFeed(this.#daemon, this.taskId, {
      signal: signal ?? new AbortController().signal,
      reconnectMs: this.#reconnectMs,
    }).streams();
  }

  async reply(input: MessageInput, options: CallOptions = {}): Promise<Task> {
    const { taskId, contextId, peerId } = this.#task;
    const target = peerId === undefined ? this.#target : { case: "peerId", value: peerId } as const;
    if (target === undefined) {
      throw new AgentAnycastError("failed_precondition", `Cannot reply to task ${taskId}: it has no peer`);
    }
    const message = toWireMessage({ messageId: crypto.randomUUID(), ...toMessage(input, "user") });
    const request = { target, taskId, contextId, message };
    const { task } = await this.#ask(
      (daemon, signal) => daemon.call(NodeService.method.sendTask, request, { signal }),
      options,
    );
    return this.#task = fromWireTask(task);
  }

  async refresh(
    { fromPeer: refresh = false, ...options }: { fromPeer?: boolean } & CallOptions = {},
  ): Promise<Task> {
    const getTask = (daemon: DaemonClient, signal: AbortSignal) =>
      daemon.getTask(this.taskId, { refresh, signal });
    return this.#task = await this.#ask(getTask, options);
  }

  async cancel(options: CallOptions = {}): Promise<Task> {
    let isRepeated = false;
    return this.#task = await this.#ask(async (daemon, signal) => {
      try {
        return await daemon.cancelTask(this.taskId, { signal });
      } catch (error) {
        // The first request may have done it, before its answer was lost.
        const isOver = isRepeated && toAgentAnycastError(error).code === "failed_precondition";
        isRepeated = true;
        const task = isOver ? await daemon.getTask(this.taskId, { signal }) : undefined;
        if (task?.status === "canceled") return task;
        throw error;
      }
    }, options);
  }

  async #ask<T>(
    work: (daemon: DaemonClient, signal: AbortSignal) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    return await ask(this.#daemon, work, { ...options, reconnectMs: this.#reconnectMs });
  }

  /** The updates of the task; this handle takes over what is news to it. */
  async *#follow(
    { signal = new AbortController().signal, ...from }: {
      signal?: AbortSignal | undefined;
      afterGeneration?: number | undefined;
      last?: TaskUpdate;
    },
  ): AsyncGenerator<TaskUpdate, void> {
    const options = { ...from, signal, reconnectMs: this.#reconnectMs };
    for await (const update of watchTask(this.#daemon, this.taskId, options)) {
      this.#apply(update);
      yield update;
    }
  }

  #apply({ status, artifacts, message, error, generation, peerId }: TaskUpdate): void {
    const { generation: newest } = this.#task;
    if (generation !== undefined && newest !== undefined && generation < newest) return; // a replay
    const known = this.#task.messages;
    const isNew = message !== undefined && !known.some(({ messageId }) => messageId === message.messageId);
    this.#task = {
      ...this.#task,
      status,
      artifacts: artifacts.length > 0 ? artifacts : this.#task.artifacts,
      messages: isNew ? [...known, message] : known,
      ...(error === undefined ? {} : { error }),
      ...(generation === undefined ? {} : { generation }),
      ...(peerId === undefined ? {} : { peerId }),
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
