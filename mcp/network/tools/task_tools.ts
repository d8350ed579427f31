import { z } from "zod";
import { safeLine } from "../safe_text.ts";
import { isOver, taskViewSchema, textOf } from "../task_view.ts";
import { defineTool, toToolResult } from "../tool.ts";
import { waitFields } from "./send_tools.ts";

const taskIdField = { task_id: z.string().min(1).max(200) };

/** `get_task_status` */
export const getTaskStatus = defineTool({
  name: "get_task_status",
  title: "Status of a task",
  description:
    "Tells how a task stands, with its result once there is one. With wait it comes back when the task is over.",
  input: z.object({
    ...taskIdField,
    wait: z.boolean().default(false).describe("wait until the task is over"),
    timeout_seconds: waitFields.timeout_seconds,
  }),
  output: taskViewSchema,
  annotations: { readOnlyHint: true, openWorldHint: true },
  run: async ({ task_id, wait, timeout_seconds }, { access }, call) => {
    const task = await access.task(task_id);
    if (!wait || isOver(task)) return call.present(task);
    return await call.follow(task, { timeoutMs: timeout_seconds * 1_000, ownsTask: false });
  },
});

/** `cancel_task` */
export const cancelTask = defineTool({
  name: "cancel_task",
  title: "Cancel a task",
  description: "Asks for the cancellation of a task. The agent has the last word: until it has confirmed, " +
    "cancel_requested is set.",
  input: z.object(taskIdField),
  output: taskViewSchema,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  run: async ({ task_id }, { access }, call) => ({
    ...call.present(await access.cancel(task_id)),
    isError: false,
  }),
});

const listedSchema = taskViewSchema.pick({
  task_id: true,
  status: true,
  target: true,
  direction: true,
  skill: true,
  created_at: true,
  updated_at: true,
}).extend({ request: z.string().describe("beginning of the first message") });

/** `list_tasks` */
export const listTasks = defineTool({
  name: "list_tasks",
  title: "Tasks",
  description: "Lists tasks of this node, newest first.",
  input: z.object({
    status: taskViewSchema.shape.status.optional(),
    direction: z.enum(["inbound", "outbound"]).optional().describe("received or sent"),
    limit: z.number().int().min(1).max(200).default(20),
  }),
  output: z.object({ count: z.number().int(), tasks: z.array(listedSchema) }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: async ({ status, direction, limit }, { access }) => {
    const filter = { limit, ...(status && { status }), ...(direction && { direction }) };
    const tasks = (await access.tasks(filter)).map((task) => ({
      task_id: task.taskId,
      status: task.status,
      target: safeLine(task.peerId ?? ""),
      ...(task.direction && { direction: task.direction }),
      ...(task.targetSkillId && { skill: safeLine(task.targetSkillId) }),
      ...(task.createdAt && { created_at: task.createdAt.toISOString() }),
      ...(task.updatedAt && { updated_at: task.updatedAt.toISOString() }),
      request: safeLine(textOf(task.messages.slice(0, 1)), 120),
    }));
    const lines = tasks.map((task) => `- ${task.task_id} ${task.status} ${task.target}: ${task.request}`);
    return toToolResult({ count: tasks.length, tasks }, [`${tasks.length} tasks`, ...lines].join("\n"));
  },
});
