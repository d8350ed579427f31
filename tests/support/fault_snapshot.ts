import type { TaskStatus } from "../../a2a/model.ts";
import { TASK_STATUSES } from "../../a2a/model.ts";
import {
  MessageRole,
  type Task,
  TaskDirection,
  TaskStatus as WireStatus,
} from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import type { TaskView } from "./fault_history.ts";

const PAGE_SIZE = 500;
const READ_TOGETHER = 32;
const CALL_TIMEOUT_MS = 30_000;

/** All tasks of the daemon at `address` that went in `direction`, whole, oldest first, over gRPC. */
export async function readTaskViews(
  address: string,
  direction: "outbound" | "inbound",
): Promise<TaskView[]> {
  using rpc = createRpcClient(address);
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  const wanted = direction === "outbound" ? TaskDirection.OUTBOUND : TaskDirection.INBOUND;
  const taskIds: string[] = [];
  for (let pageToken: string | undefined = ""; pageToken !== undefined;) {
    const request = { pageSize: PAGE_SIZE, pageToken, direction: wanted };
    const page: { tasks: Task[]; nextPageToken: string } = await rpc.unary(
      AdminService.method.listTasks,
      request,
      options,
    );
    taskIds.push(...page.tasks.map(({ taskId }) => taskId));
    pageToken = page.nextPageToken || undefined;
  }
  const views: TaskView[] = [];
  for (let from = 0; from < taskIds.length; from += READ_TOGETHER) {
    const batch = taskIds.slice(from, from + READ_TOGETHER).map(async (taskId) => {
      const { task } = await rpc.unary(NodeService.method.getTask, { taskId }, options);
      if (task === undefined) throw new Error(`The daemon lists task ${taskId} and does not give it`);
      return toTaskView(task);
    });
    views.push(...await Promise.all(batch));
  }
  return views.reverse();
}

function toTaskView({ taskId, status, messages, artifacts, errorMessage }: Task): TaskView {
  const textOf = (parts: Task["messages"][number]["parts"]) =>
    parts.map(({ content }) => content.case === "textPart" ? content.value.text : `(${content.case})`)
      .join("\n");
  return {
    taskId,
    status: toStatus(status),
    messages: messages.map(({ role, parts }) =>
      `${role === MessageRole.AGENT ? "agent" : "user"}: ${textOf(parts)}`
    ),
    artifacts: artifacts.map(({ parts }) => textOf(parts)),
    error: errorMessage,
  };
}

function toStatus(status: WireStatus): TaskStatus {
  const name = WireStatus[status]?.toLowerCase();
  const known = TASK_STATUSES.find((one) => one === name);
  if (known === undefined) throw new Error(`The daemon tells a status that does not exist: ${status}`);
  return known;
}
