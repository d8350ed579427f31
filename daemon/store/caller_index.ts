import { callerOf, type CallerTask, type Task } from "../../a2a/mod.ts";
import { CallerTaskRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { decodeMessage, encodeMessage } from "../../rpc/codecs.ts";
import { callerTaskKey, callerTaskPrefix, type KvOperation, type KvStore } from "../../kv/mod.ts";
import { fromStatus, toStatus } from "../convert/task.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";

/** What a commit of the task adds to the index of callers. */
export function indexOperations(task: Task): KvOperation[] {
  const caller = callerOf(task);
  if (caller === undefined) return [];
  const value = encodeMessage(CallerTaskRecordSchema, {
    updatedAt: toTimestamp(task.updatedAtMs),
    status: toStatus(task.status),
    contextId: task.contextId,
    peerId: task.direction === "outbound" ? task.peerId : "",
  });
  return [{ op: "set", key: callerTaskKey(caller, task.taskId), value }];
}

/** What the removal of the task takes out of the index of callers. */
export function unindexOperations(task: Task): KvOperation[] {
  const caller = callerOf(task);
  return caller === undefined ? [] : [{ op: "delete", key: callerTaskKey(caller, task.taskId) }];
}

/** The tasks of a caller, the one that changed last first. An entry that is damaged is left out. */
export async function readCallerTasks(kv: KvStore, caller: string): Promise<CallerTask[]> {
  const tasks: CallerTask[] = [];
  for await (const { key, value } of kv.list(callerTaskPrefix(caller), { onDamaged: () => {} })) {
    const task = fromEntry(String(key.at(-1)), value);
    if (task !== undefined) tasks.push(task);
  }
  return tasks.sort((a, b) => b.updatedAtMs - a.updatedAtMs || (a.taskId < b.taskId ? -1 : 1));
}

function fromEntry(taskId: string, value: Uint8Array): CallerTask | undefined {
  try {
    const { updatedAt, status, contextId, peerId } = decodeMessage(CallerTaskRecordSchema, value);
    return { taskId, contextId, status: fromStatus(status), updatedAtMs: fromTimestamp(updatedAt), peerId };
  } catch {
    return undefined; // the task itself is not lost by it
  }
}
