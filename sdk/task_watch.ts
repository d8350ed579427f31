import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireUpdate, textOf } from "./convert.ts";
import { type DaemonClient, isTransient } from "./daemon_client.ts";
import { AgentAnycastError, TaskNotFoundError, toAgentAnycastError } from "./errors.ts";
import { isTerminal, type Task, type TaskUpdate } from "./model.ts";
import { Outage } from "./outage.ts";

/** What watching a task needs. */
export interface WatchOptions {
  readonly signal: AbortSignal;
  /** How long the daemon may be gone before the watch gives up. */
  readonly reconnectMs: number;
}

/**
 * The updates of a task, the current state first, up to and including the final one. Survives a lost connection: it
 * subscribes again, asks for the state in between, and skips what it has told already. Throws `DaemonConnectionError` when
 * the daemon stays away, `TaskNotFoundError` when the daemon does not know the task, `cancelled` when `signal` fires.
 */
export async function* watchTask(
  daemon: DaemonClient,
  taskId: string,
  { signal, reconnectMs }: WatchOptions,
): AsyncGenerator<TaskUpdate> {
  const outage = new Outage(reconnectMs);
  let last: TaskUpdate | undefined;
  for (let retry = false;; retry = true) {
    let cause: unknown;
    try {
      for await (const update of updatesOf(daemon, taskId, { signal, retry })) {
        outage.over();
        if (!isNews(update, last)) continue;
        last = update;
        yield update;
        if (isTerminal(update.status)) return;
      }
    } catch (error) {
      if (signal.aborted || !isTransient(error)) throw toWatchError(error, signal);
      cause = error;
    }
    await outage.pause(cause, signal).catch((error) => {
      throw toWatchError(error, signal);
    });
  }
}

/** One subscription. A retry asks for the state first: the end may have been told while nobody listened. */
async function* updatesOf(
  daemon: DaemonClient,
  taskId: string,
  { signal, retry }: { signal: AbortSignal; retry: boolean },
): AsyncGenerator<TaskUpdate> {
  if (retry) yield toUpdate(await daemon.getTask(taskId, { signal }));
  for await (const response of daemon.stream(NodeService.method.subscribeTaskUpdates, { taskId }, signal)) {
    yield fromWireUpdate(response);
  }
}

function toUpdate({ taskId, status, artifacts, error, messages }: Task): TaskUpdate {
  const message = messages.findLast(({ role }) => role === "agent");
  return {
    taskId,
    status,
    artifacts,
    ...(error === undefined ? {} : { error }),
    ...(message === undefined ? {} : { message }),
  };
}

/** Whether `update` says more than `last`: after a reconnection the same state is told again. */
function isNews({ status, message }: TaskUpdate, last: TaskUpdate | undefined): boolean {
  if (status !== last?.status) return true;
  if (message === undefined) return false;
  if (last.message === undefined) return true;
  return message.messageId !== last.message.messageId || textOf([message]) !== textOf([last.message]);
}

function toWatchError(error: unknown, signal: AbortSignal): AgentAnycastError {
  if (signal.aborted) {
    return new AgentAnycastError("cancelled", "Nobody waits any more", { cause: signal.reason });
  }
  const known = toAgentAnycastError(error);
  return known.code === "not_found" ? new TaskNotFoundError(known.message, { cause: error }) : known;
}
