import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireUpdate, textOf, toUpdate } from "./convert.ts";
import { type DaemonClient, isTransient } from "./daemon_client.ts";
import { AgentAnycastError, TaskNotFoundError, toAgentAnycastError } from "./errors.ts";
import { isTerminal, type TaskUpdate } from "./model.ts";
import { Outage } from "./outage.ts";

/** What watching a task needs. */
export interface WatchOptions {
  readonly signal: AbortSignal;
  /** How long the daemon may be gone before the watch gives up. */
  readonly reconnectMs: number;
  /** Begins behind this change of the task, 0 for the first one. Default: with the current state. */
  readonly afterGeneration?: number | undefined;
  /** What has been told already: it is not told again. */
  readonly last?: TaskUpdate | undefined;
}

/**
 * The updates of a task up to and including the final one: the current state first, or every change behind `afterGeneration`.
 * A lost connection is made up for: a daemon that counts the changes of a task replays those that were missed, each once; with
 * another one the state in between is asked for, and what was told already is skipped. Throws `DaemonConnectionError` when the
 * daemon stays away, `TaskNotFoundError` when it does not know the task, `out_of_range` when it does not keep the changes behind
 * `afterGeneration` any more, `cancelled` when `signal` fires.
 */
export async function* watchTask(
  daemon: DaemonClient,
  taskId: string,
  options: WatchOptions,
): AsyncGenerator<TaskUpdate> {
  const { signal, reconnectMs } = options;
  const outage = new Outage(reconnectMs);
  const told = new Told(options);
  for (let attempt: Attempt = "first";;) {
    let cause: unknown;
    try {
      for await (const update of updatesOf(daemon, taskId, { signal, attempt, told })) {
        outage.over();
        if (!told.isNews(update)) continue;
        told.update(update);
        yield update;
        if (isTerminal(update.status)) return;
      }
      if (told.generation !== undefined && await isOver(daemon, taskId, { signal, told })) return;
      attempt = "again";
    } catch (error) {
      const isGap = told.isBegun && toAgentAnycastError(error).code === "out_of_range";
      if (signal.aborted || !(isGap || isTransient(error))) throw toWatchError(error, signal);
      attempt = isGap ? "with a gap" : "again";
      cause = error;
    }
    await outage.pause(cause, signal).catch((error) => {
      throw toWatchError(error, signal);
    });
  }
}

/** With a gap: changes were missed that the daemon does not keep any more, so that their sum is told instead. */
type Attempt = "first" | "again" | "with a gap";

/** What a watch has told so far. */
class Told {
  /** Of the last change told, when the daemon counts changes. */
  generation: number | undefined;
  #last: TaskUpdate | undefined;

  constructor({ afterGeneration, last }: WatchOptions) {
    this.generation = afterGeneration;
    this.#last = last;
  }

  get isBegun(): boolean {
    return this.#last !== undefined;
  }

  update(update: TaskUpdate): void {
    this.#last = update;
    this.generation = update.generation;
  }

  /** Whether `update` says more than was told: after a reconnection a state may be told again. */
  isNews({ status, message, generation }: TaskUpdate): boolean {
    if (generation !== undefined && this.generation !== undefined) return generation > this.generation;
    const last = this.#last;
    if (status !== last?.status) return true;
    if (message === undefined) return false;
    if (last.message === undefined) return true;
    return message.messageId !== last.message.messageId || textOf([message]) !== textOf([last.message]);
  }
}

interface Subscription {
  readonly signal: AbortSignal;
  readonly attempt: Attempt;
  readonly told: Told;
}

/** One subscription. Without counted changes a retry asks for the state first: the end may have been told while nobody listened. */
async function* updatesOf(
  daemon: DaemonClient,
  taskId: string,
  { signal, attempt, told }: Subscription,
): AsyncGenerator<TaskUpdate> {
  const { generation } = told;
  if (attempt === "with a gap" || (attempt === "again" && generation === undefined)) {
    yield toUpdate(await daemon.getTask(taskId, { signal }));
  }
  const request = {
    taskId,
    ...(told.generation === undefined ? {} : { afterGeneration: BigInt(told.generation) }),
  };
  for await (const response of daemon.stream(NodeService.method.subscribeTaskUpdates, request, signal)) {
    yield fromWireUpdate(response);
  }
}

/** Whether the end of the task lies before what was asked for, so that there is nothing to tell. */
async function isOver(
  daemon: DaemonClient,
  taskId: string,
  { signal, told }: { signal: AbortSignal; told: Told },
): Promise<boolean> {
  const { status, generation } = await daemon.getTask(taskId, { signal });
  return isTerminal(status) && generation !== undefined && generation <= (told.generation ?? 0);
}

function toWatchError(error: unknown, signal: AbortSignal): AgentAnycastError {
  if (signal.aborted) {
    return new AgentAnycastError("cancelled", "Nobody waits any more", { cause: signal.reason });
  }
  const known = toAgentAnycastError(error);
  return known.code === "not_found" ? new TaskNotFoundError(known.message, { cause: error }) : known;
}
