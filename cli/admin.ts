// What a program that uses the SDK has no business with, so that the SDK does not offer it.
// deno-lint-ignore-file agentanycast/boundaries
import { TaskDirection, TaskStatus as WireStatus } from "../gen/agentanycast/v1/a2a_models_pb.ts";
import { AdminService } from "../gen/agentanycast/v1/admin_service_pb.ts";
import { fromWireTask } from "../sdk/convert.ts";
import type { Task, TaskStatus } from "../sdk/mod.ts";
import { createRpcClient } from "../sdk/rpc_client.ts";

/** Which side of a task a node is on. */
export type Direction = "inbound" | "outbound";

/** A task in a list. */
export interface ListedTask extends Task {
  readonly direction: Direction | "unknown";
}

/** Which tasks to list. */
export interface TaskFilter {
  readonly status?: TaskStatus;
  readonly direction?: Direction;
  /** Most tasks to answer. */
  readonly limit: number;
}

/** Limit of one call, in milliseconds. */
const CALL_TIMEOUT_MS = 10_000;
/** Most tasks asked for at once. */
const MAX_PAGE = 200;

const DIRECTIONS = {
  [TaskDirection.UNSPECIFIED]: "unknown",
  [TaskDirection.OUTBOUND]: "outbound",
  [TaskDirection.INBOUND]: "inbound",
} as const;

const WIRE_DIRECTION: Readonly<Record<Direction, TaskDirection>> = {
  outbound: TaskDirection.OUTBOUND,
  inbound: TaskDirection.INBOUND,
};

/** Tasks the daemon at `address` knows, newest first. Throws `unavailable` when nobody answers there. */
export async function listTasks(
  address: string,
  { status, direction, limit }: TaskFilter,
  signal: AbortSignal,
): Promise<ListedTask[]> {
  using rpc = createRpcClient(address);
  const tasks: ListedTask[] = [];
  let pageToken = "";
  while (tasks.length < limit) {
    const page = await rpc.unary(AdminService.method.listTasks, {
      pageSize: Math.min(limit - tasks.length, MAX_PAGE),
      pageToken,
      statuses: status === undefined ? [] : [toWireStatus(status)],
      direction: direction === undefined ? TaskDirection.UNSPECIFIED : WIRE_DIRECTION[direction],
    }, { timeoutMs: CALL_TIMEOUT_MS, signal });
    for (const task of page.tasks) {
      tasks.push({ ...fromWireTask(task), direction: DIRECTIONS[task.direction] });
    }
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  return tasks;
}

/** Asks the daemon at `address` to stop; it has not stopped yet when this resolves. */
export async function requestStop(address: string, signal: AbortSignal): Promise<void> {
  using rpc = createRpcClient(address);
  await rpc.unary(AdminService.method.stopNode, {}, { timeoutMs: CALL_TIMEOUT_MS, signal });
}

function toWireStatus(status: TaskStatus): WireStatus {
  return WireStatus[status.toUpperCase() as Uppercase<TaskStatus>];
}
