import type { ArtifactStreams, Engine, Task } from "../../a2a/mod.ts";
import { callerOf, isInterrupted, isTerminal } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import type * as pb from "../../gen/lf/a2a/v1/a2a_pb.ts";
import type { AgentNetwork } from "../agent_network.ts";
import type { A2aCall, A2aTarget } from "./a2a_call.ts";
import { a2aError } from "./a2a_error.ts";
import { fromMessage, invalid } from "./message_in.ts";
import type { PushConfigs } from "./push/push_configs.ts";
import { pageOf } from "./task_list.ts";
import { followTask } from "./follow_task.ts";
import type { A2aEvent } from "./task_events.ts";
import { toTaskJson } from "./task_json.ts";
import { TaskStarter } from "./task_starter.ts";

export interface A2aOperationsDeps {
  engine: Pick<Engine, "getTask" | "tasksOf" | "cancelTask" | "subscribe">;
  streams: Pick<ArtifactStreams, "subscribe">;
  network: Pick<AgentNetwork, "send">;
  push: PushConfigs;
  /** Media types that the agent takes. */
  inputModesOf: (target: A2aTarget) => Promise<readonly string[]>;
}

/** How long a cancellation waits for the word of an agent elsewhere, in milliseconds. */
const CANCEL_WAIT_MS = 3_000;

/**
 * The operations of A2A 1.0 (section 3.1) on the tasks of this node. A caller sees its own tasks alone. Requests come as
 * generated messages, whichever binding they came by; answers are JSON of A2A 1.0, which the bindings translate.
 */
export class A2aOperations {
  readonly #deps: A2aOperationsDeps;
  readonly #starter: TaskStarter;

  constructor(deps: A2aOperationsDeps) {
    this.#deps = deps;
    this.#starter = new TaskStarter(deps);
  }

  /** Answers the task when it has ended or waits for its caller, or at once when that is asked for. */
  async sendMessage(request: pb.SendMessageRequest, call: A2aCall): Promise<JsonObject> {
    const { configuration } = request;
    const historyLength = checkHistoryLength(configuration?.historyLength);
    let task = await this.#start(request, call);
    if (!(configuration?.returnImmediately ?? false)) task = await this.#settled(task, call.signal);
    return { task: toTaskJson(task, { historyLength }) };
  }

  /** The task, then what happens to it until it has ended or waits for its caller. */
  async *sendStreamingMessage(request: pb.SendMessageRequest, call: A2aCall): AsyncGenerator<A2aEvent> {
    const historyLength = checkHistoryLength(request.configuration?.historyLength);
    const task = await this.#start(request, call);
    yield* this.#follow(task, call, { historyLength, untilInterrupted: true });
  }

  async getTask({ id, historyLength }: pb.GetTaskRequest, call: A2aCall): Promise<JsonObject> {
    const length = checkHistoryLength(historyLength);
    return toTaskJson(await this.#own(id, call), { historyLength: length });
  }

  /** Tasks of the caller, the one that changed last first. */
  async listTasks(request: pb.ListTasksRequest, call: A2aCall): Promise<JsonObject> {
    const { engine } = this.#deps;
    const page = pageOf(await engine.tasksOf(call.caller), request, call.target);
    const options = { historyLength: request.historyLength, artifacts: request.includeArtifacts ?? false };
    const found = await Promise.all(page.tasks.map(({ taskId }) => this.#own(taskId, call).catch(ifGone)));
    const tasks = found.filter((task) => task !== undefined).map((task) => toTaskJson(task, options));
    const { nextPageToken, pageSize, totalSize } = page;
    return { tasks, nextPageToken, pageSize, totalSize };
  }

  /** @throws CodedError TASK_NOT_CANCELABLE. */
  async cancelTask({ id }: pb.CancelTaskRequest, call: A2aCall): Promise<JsonObject> {
    const before = await this.#own(id, call);
    if (isTerminal(before.status)) throw notCancelable(before);
    try {
      let task = await this.#deps.engine.cancelTask(id);
      if (!isTerminal(task.status)) task = await this.#endOf(task, call.signal);
      return toTaskJson(task);
    } catch (error) {
      const now = await this.#own(id, call);
      if (!isTerminal(now.status)) throw error;
      throw notCancelable(now);
    }
  }

  /** The task, then what happens to it until it ends. @throws CodedError UNSUPPORTED_OPERATION for one that has ended. */
  async *subscribeToTask({ id }: pb.SubscribeToTaskRequest, call: A2aCall): AsyncGenerator<A2aEvent> {
    const task = await this.#own(id, call);
    // Who comes back after the end gets what was missed of it.
    if (isTerminal(task.status) && call.lastEventId === undefined) {
      throw a2aError(
        "UNSUPPORTED_OPERATION",
        `Cannot subscribe to task ${id}: it is ${task.status}; get it instead`,
      );
    }
    yield* this.#follow(task, call, { untilInterrupted: false });
  }

  async createPushConfig(config: pb.TaskPushNotificationConfig, call: A2aCall): Promise<JsonObject> {
    const task = await this.#own(config.taskId, call);
    return await this.#deps.push.set(task, config, call.version);
  }

  /** @throws CodedError TASK_NOT_FOUND, also when the task has no such webhook. */
  async getPushConfig(
    { taskId, id }: pb.GetTaskPushNotificationConfigRequest,
    call: A2aCall,
  ): Promise<JsonObject> {
    await this.#own(taskId, call);
    return await this.#deps.push.get(taskId, id);
  }

  async listPushConfigs(
    request: pb.ListTaskPushNotificationConfigsRequest,
    call: A2aCall,
  ): Promise<JsonObject> {
    await this.#own(request.taskId, call);
    return await this.#deps.push.list(request);
  }

  async deletePushConfig(
    { taskId, id }: pb.DeleteTaskPushNotificationConfigRequest,
    call: A2aCall,
  ): Promise<void> {
    await this.#own(taskId, call);
    await this.#deps.push.delete(taskId, id);
  }

  /** Begins a task with the message, or gives it to the task that it names; both only once. */
  async #start(request: pb.SendMessageRequest, call: A2aCall): Promise<Task> {
    const { push, inputModesOf } = this.#deps;
    const message = fromMessage(request.message, await inputModesOf(call.target));
    const webhook = request.configuration?.taskPushNotificationConfig;
    if (webhook !== undefined) push.check(webhook);
    const taskId = request.message?.taskId ?? "";
    const known = taskId === "" ? undefined : await this.#own(taskId, call);
    const task = known === undefined
      ? await this.#starter.begin(request, { message, call })
      : await this.#starter.goOn(known, request, { message, call });
    if (webhook !== undefined) await push.set(task, webhook, call.version);
    return task;
  }

  /** A task that the caller may see. @throws CodedError TASK_NOT_FOUND. */
  async #own(taskId: string, { caller, target }: A2aCall): Promise<Task> {
    if (taskId === "") throw invalid("id", "of the task is missing");
    const task = await this.#deps.engine.getTask(taskId).catch((error) => {
      // An id that none of ours can be is not found either.
      if (error instanceof CodedError && error.code === "invalid_argument") return undefined;
      return ifGone(error);
    });
    if (task !== undefined && callerOf(task) === caller && isOf(task, target)) return task;
    throw a2aError("TASK_NOT_FOUND", `Task ${taskId} not found`);
  }

  async #settled(task: Task, signal: AbortSignal): Promise<Task> {
    const { engine } = this.#deps;
    if (isSettled(task)) return task;
    for await (const { status } of engine.subscribe(task.taskId, { signal })) {
      if (isTerminal(status) || isInterrupted(status)) break;
    }
    signal.throwIfAborted();
    return await engine.getTask(task.taskId);
  }

  /** The task when it has ended, or as it stands after a while. */
  async #endOf(task: Task, signal: AbortSignal): Promise<Task> {
    const { engine } = this.#deps;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), CANCEL_WAIT_MS);
    try {
      const until = AbortSignal.any([patience.signal, signal]);
      for await (const { status } of engine.subscribe(task.taskId, { signal: until })) {
        if (isTerminal(status)) break;
      }
    } finally {
      clearTimeout(timer);
    }
    return await engine.getTask(task.taskId);
  }

  async *#follow(
    task: Task,
    { signal, lastEventId }: A2aCall,
    { historyLength, untilInterrupted }: { historyLength?: number | undefined; untilInterrupted: boolean },
  ): AsyncGenerator<A2aEvent> {
    const { generation: id, status } = task;
    const isOver = lastEventId === undefined &&
      (isTerminal(status) || (untilInterrupted && isInterrupted(status)));
    yield { id, response: { task: toTaskJson(task, { historyLength }) }, isFinal: isOver };
    if (isOver) return;
    yield* followTask(this.#deps, task, { afterGeneration: lastEventId ?? id, untilInterrupted, signal });
  }
}

function isSettled({ status }: Task): boolean {
  return isTerminal(status) || isInterrupted(status);
}

function isOf({ direction, peerId, targetSkillId }: Task, target: A2aTarget): boolean {
  switch (target.kind) {
    case "self":
      return direction === "inbound";
    case "peer":
      return direction === "outbound" && peerId === target.peerId;
    case "skill":
      return direction === "outbound" && targetSkillId === target.skillId;
    default:
      return target satisfies never;
  }
}

function ifGone(error: unknown): undefined {
  if (error instanceof CodedError && error.code === "not_found") return undefined;
  throw error;
}

function notCancelable({ taskId, status }: Task): CodedError {
  return a2aError("TASK_NOT_CANCELABLE", `Cannot cancel task ${taskId}: it is ${status}`);
}

function checkHistoryLength(historyLength: number | undefined): number | undefined {
  if (historyLength !== undefined && historyLength < 0) {
    throw invalid("historyLength", "must not be negative");
  }
  return historyLength;
}
