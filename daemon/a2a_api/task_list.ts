import { Buffer } from "node:buffer";
import type { CallerTask } from "../../a2a/mod.ts";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type ListTasksRequest, TaskState } from "../../gen/lf/a2a/v1/a2a_pb.ts";
import type { A2aTarget } from "./a2a_call.ts";
import { invalid } from "./message_in.ts";
import { fromTaskState } from "./task_json.ts";

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 100;

/** What a list has of the caller's tasks. */
export interface TaskListPage {
  readonly tasks: readonly CallerTask[];
  readonly pageSize: number;
  /** How many there are on all pages. */
  readonly totalSize: number;
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/**
 * The page of `tasks` (the one that changed last first) that is asked for.
 * @throws CodedError `invalid_argument`.
 */
export function pageOf(
  tasks: readonly CallerTask[],
  request: ListTasksRequest,
  target: A2aTarget,
): TaskListPage {
  const { contextId, pageSize = DEFAULT_PAGE_SIZE, pageToken, statusTimestampAfter } = request;
  if (pageSize < 1 || pageSize > MAX_PAGE_SIZE) {
    throw invalid("pageSize", `must be between 1 and ${MAX_PAGE_SIZE}`);
  }
  const historyLength = request.historyLength ?? 0;
  if (historyLength < 0) throw invalid("historyLength", "must not be negative");
  const status = request.status === TaskState.UNSPECIFIED
    ? undefined
    : fromTaskState(`TASK_STATE_${TaskState[request.status]}`);
  const afterMs = statusTimestampAfter === undefined ? -Infinity : timestampMs(statusTimestampAfter);
  const matching = tasks.filter((task) =>
    isOf(task, target) &&
    (contextId === "" || task.contextId === contextId) &&
    (status === undefined || task.status === status) && task.updatedAtMs >= afterMs
  );
  const from = pageToken === "" ? 0 : placeBehind(matching, pageToken);
  const page = matching.slice(from, from + pageSize);
  const last = page.at(-1);
  const hasMore = from + page.length < matching.length && last !== undefined;
  return {
    tasks: page,
    pageSize,
    totalSize: matching.length,
    nextPageToken: hasMore ? toPageToken(last) : "",
  };
}

/** Of a skill all tasks that were sent to others are looked at; what they asked for is in their records. */
function isOf({ peerId }: CallerTask, target: A2aTarget): boolean {
  switch (target.kind) {
    case "self":
      return peerId === "";
    case "peer":
      return peerId === target.peerId;
    case "skill":
      return peerId !== "";
    default:
      return target satisfies never;
  }
}

function toPageToken({ updatedAtMs, taskId }: CallerTask): string {
  return Buffer.from(JSON.stringify([updatedAtMs, taskId])).toString("base64url");
}

/** Where the list goes on behind the task of a token, which may have moved since. */
function placeBehind(tasks: readonly CallerTask[], token: string): number {
  const [updatedAtMs, taskId] = parsePageToken(token);
  const next = tasks.findIndex((task) =>
    task.updatedAtMs < updatedAtMs || (task.updatedAtMs === updatedAtMs && task.taskId > taskId)
  );
  return next === -1 ? tasks.length : next;
}

function parsePageToken(token: string): [number, string] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (Array.isArray(parsed) && typeof parsed[0] === "number" && typeof parsed[1] === "string") {
      return [parsed[0], parsed[1]];
    }
  } catch {
    // It is none of ours, as any other text.
  }
  throw invalid("pageToken", "is none that a list of tasks has answered");
}
