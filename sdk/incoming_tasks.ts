import { abortable } from "../core/abortable.ts";
import { errorMessage } from "../core/errors.ts";
import { NodeService, type SubscribeIncomingTasksResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { TaskTimeoutError, toAgentAnycastError } from "./errors.ts";
import { DaemonTask } from "./incoming_task.ts";
import { isTerminal } from "./model.ts";
import { Outage } from "./outage.ts";
import type { Registration, TaskHandlers } from "./task_handlers.ts";

/** Tasks that are over and remembered, so that a late repetition is not handled again; the oldest are forgotten first. */
const MAX_PAST = 10_000;

export interface IncomingTasksDeps {
  readonly daemon: DaemonClient;
  readonly handlers: TaskHandlers;
  /** Told what nobody can be thrown at. */
  readonly report: (message: string, error: unknown) => void;
}

/**
 * Takes incoming tasks to their handlers until `signal` fires; a lost connection is made again. While a handler's queue is
 * full nothing more is read: the daemon keeps those tasks, and offers them again when the connection is lost.
 */
export class IncomingTasks {
  readonly #deps: IncomingTasksDeps;
  readonly #signal: AbortSignal;
  /** Tasks that wait or are being handled; bounded by the queues of the handlers. */
  readonly #current = new Set<string>();
  readonly #past = new Set<string>();

  constructor(deps: IncomingTasksDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { daemon, report } = this.#deps;
    const outage = new Outage(Infinity);
    while (!this.#signal.aborted) {
      let cause: unknown;
      try {
        for await (
          const delivery of daemon.stream(NodeService.method.subscribeIncomingTasks, {}, this.#signal)
        ) {
          outage.over();
          await this.#accept(delivery);
        }
      } catch (error) {
        cause = error;
      }
      if (this.#signal.aborted) return;
      report("No incoming tasks for now: the connection to the daemon is lost", cause);
      await outage.pause(cause, this.#signal).catch(() => {}); // rejects only when the loop ends anyway
    }
  }

  /** Comes back when the task waits for its handler, or is rejected. Throws the reason of the signal. */
  async #accept(delivery: SubscribeIncomingTasksResponse): Promise<void> {
    const { daemon, handlers } = this.#deps;
    const task = new DaemonTask(daemon, delivery, { lifetime: this.#signal });
    const key = keyOf(task);
    if (this.#current.has(key) || this.#past.has(key)) return;
    this.#current.add(key);
    const registration = handlers.find(task.targetSkillId);
    if (registration === undefined) await abortable(this.#reject(task), this.#signal);
    else await registration.enqueue(() => this.#handle(task, registration), this.#signal);
  }

  async #reject(task: DaemonTask): Promise<void> {
    const reason = `No handler for ${task.targetSkillId ?? "tasks without a skill"}`;
    await task.reject(reason).catch((error) => this.#giveUp(task, error));
    this.#remember(task);
  }

  async #handle(task: DaemonTask, registration: Registration): Promise<void> {
    if (this.#signal.aborted) return; // the daemon still has the task and delivers it to the next subscriber
    const onStop = () => task.abort(this.#signal.reason);
    this.#signal.addEventListener("abort", onStop, { once: true });
    try {
      if (await this.#begin(task)) await runHandler(task, registration);
    } catch (error) {
      if (this.#signal.aborted) return;
      if (task.settled) {
        this.#deps.report(`The handler of task ${task.taskId} threw after it ended the task`, error);
      } else await task.fail(errorMessage(error)).catch((failure) => this.#giveUp(task, failure));
    } finally {
      this.#signal.removeEventListener("abort", onStop);
      this.#remember(task);
    }
  }

  /** Says that work begins, unless somebody has said so. False when the task is over already. */
  async #begin(task: DaemonTask): Promise<boolean> {
    if (task.task.status !== "working") {
      try {
        await task.updateStatus("working");
        return true;
      } catch (error) {
        if (toAgentAnycastError(error).code !== "failed_precondition") throw error;
      }
    }
    return !isTerminal((await this.#deps.daemon.getTask(task.taskId)).status);
  }

  /** Forgets the task, so that the daemon may deliver it again; unless it is over, for instance cancelled. */
  #giveUp(task: DaemonTask, error: unknown): void {
    if (this.#signal.aborted || toAgentAnycastError(error).code === "failed_precondition") return;
    this.#current.delete(keyOf(task));
    this.#deps.report(`Task ${task.taskId} could not be answered`, error);
  }

  /** Takes note that the task is over, unless it was given up. */
  #remember(task: DaemonTask): void {
    const key = keyOf(task);
    if (!this.#current.delete(key)) return;
    this.#past.add(key);
    for (const oldest of this.#past) {
      if (this.#past.size <= MAX_PAST) break;
      this.#past.delete(oldest);
    }
  }
}

/** One turn of a task: the sender's next message in the same task is a new one. */
function keyOf(task: DaemonTask): string {
  return `${task.taskId} ${task.messages.filter(({ role }) => role === "user").length}`;
}

/** Runs the handler within its time; when that is up the task's signal fires and this throws. */
async function runHandler(task: DaemonTask, { handler, timeoutMs }: Registration): Promise<void> {
  const limit = new AbortController();
  const expire = () => {
    const error = new TaskTimeoutError(`The agent did not finish within ${timeoutMs} ms`);
    limit.abort(error);
    task.abort(error);
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  try {
    await abortable(Promise.resolve(handler(task)), limit.signal);
  } finally {
    clearTimeout(timer);
  }
}
