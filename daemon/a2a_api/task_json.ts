import { Buffer } from "node:buffer";
import {
  type Annotations,
  type Artifact,
  isTextType,
  type Message,
  type Part,
  STREAM_KEY,
  type Task,
  type TaskStatus,
  toTextPart,
} from "../../a2a/mod.ts";
import type { JsonObject, JsonValue } from "../../core/json.ts";

const STATES: Readonly<Record<TaskStatus, string>> = {
  submitted: "TASK_STATE_SUBMITTED",
  working: "TASK_STATE_WORKING",
  input_required: "TASK_STATE_INPUT_REQUIRED",
  completed: "TASK_STATE_COMPLETED",
  failed: "TASK_STATE_FAILED",
  canceled: "TASK_STATE_CANCELED",
  rejected: "TASK_STATE_REJECTED",
  auth_required: "TASK_STATE_AUTH_REQUIRED",
};
const STATUS_OF = new Map(Object.entries(STATES).map(([status, state]) => [state, status as TaskStatus]));

/** Marks a part whose data are no JSON object: the object in their place has them as `value`. */
export const WRAPPED_DATA = "agentanycast.wrapped";
/** Prefix of what a task's metadata say to agents and not to the caller. */
export const PRIVATE_METADATA = "agentanycast.";

/** The status that a state of A2A 1.0 is; undefined for a name that it does not have. */
export function fromTaskState(state: string): TaskStatus | undefined {
  return STATUS_OF.get(state);
}

/** What of a task is told. */
export interface TaskJsonOptions {
  /** Most messages of the history, the newest; undefined is without limit. */
  readonly historyLength?: number | undefined;
  /** Default true. */
  readonly artifacts?: boolean;
}

/** A task as JSON of A2A 1.0. */
export function toTaskJson(task: Task, options: TaskJsonOptions = {}): JsonObject {
  const { historyLength = Infinity, artifacts = true } = options;
  const said = statusMessageOf(task);
  const history = historyLength === 0 ? [] : task.messages.filter((message) => message !== said)
    .slice(historyLength === Infinity ? 0 : -historyLength);
  const metadata = Object.entries(task.metadata).filter(([key]) => !key.startsWith(PRIVATE_METADATA));
  return {
    id: task.taskId,
    contextId: task.contextId,
    status: toStatusJson(task, { status: task.status, atMs: task.updatedAtMs, message: said }),
    ...(artifacts && { artifacts: task.artifacts.map((one, i) => toArtifactJson(one, i)) }),
    ...(history.length > 0 && { history: history.map((message) => toMessageJson(message, task)) }),
    ...(metadata.length > 0 && { metadata: Object.fromEntries(metadata) }),
  };
}

/** A status as JSON of A2A 1.0; why a task has failed is told as a message of the agent. */
export function toStatusJson(
  task: Pick<Task, "taskId" | "contextId" | "errorMessage">,
  { status, atMs, message }: { status: TaskStatus; atMs: number; message: Message | undefined },
): JsonObject {
  const isBad = status === "failed" || status === "rejected" || status === "canceled";
  const said = message?.role === "agent" ? message : isBad ? reasonMessage(task) : undefined;
  return {
    state: STATES[status],
    ...(said && { message: toMessageJson(said, task) }),
    timestamp: new Date(atMs).toISOString(),
  };
}

function statusMessageOf({ messages, statusMessageId }: Task): Message | undefined {
  if (statusMessageId === undefined) return undefined;
  return messages.findLast(({ messageId, role }) => messageId === statusMessageId && role === "agent");
}

function reasonMessage({ taskId, errorMessage }: Pick<Task, "taskId" | "errorMessage">): Message | undefined {
  if (errorMessage === "") return undefined;
  const parts = [{ content: { kind: "text", text: errorMessage } as const, mediaType: "", metadata: {} }];
  return { messageId: `${taskId}-reason`, role: "agent", parts, createdAtMs: 0 };
}

/** A message as JSON of A2A 1.0. */
function toMessageJson(message: Message, task: Pick<Task, "taskId" | "contextId">): JsonObject {
  const { messageId, role, parts, referenceTaskIds = [] } = message;
  return {
    messageId,
    contextId: task.contextId,
    taskId: task.taskId,
    role: role === "user" ? "ROLE_USER" : "ROLE_AGENT",
    parts: parts.map(toPartJson),
    ...annotations(message),
    ...(referenceTaskIds.length > 0 && { referenceTaskIds }),
  };
}

/** An artifact as JSON of A2A 1.0. @param index its place in the task, which names one that has no id. */
export function toArtifactJson(artifact: Artifact, index: number): JsonObject {
  const { artifactId, name, description = "", parts } = artifact;
  return {
    artifactId: artifactId || `artifact-${index + 1}`,
    ...(name !== "" && { name }),
    ...(description !== "" && { description }),
    parts: parts.map(toPartJson),
    ...annotations(artifact),
  };
}

function annotations({ metadata, extensions = [] }: Annotations): JsonObject {
  return {
    ...(metadata && { metadata: metadata as JsonObject }),
    ...(extensions.length > 0 && { extensions }),
  };
}

function toPartJson(given: Part): JsonObject {
  const { [WRAPPED_DATA]: isWrapped, [STREAM_KEY]: isStreamed, ...metadata } = given.metadata;
  const { mediaType } = given;
  // What was streamed is told in the form that it was streamed in.
  const part = isStreamed !== undefined && isTextType(mediaType) ? toTextPart(given) : given;
  const { content } = part;
  const filename = "filename" in content ? content.filename : part.filename ?? "";
  return {
    ...toContentJson(content, isWrapped !== undefined),
    ...(Object.keys(metadata).length > 0 && { metadata: metadata as JsonObject }),
    ...(filename !== "" && { filename }),
    ...(mediaType !== "" && { mediaType }),
  };
}

function toContentJson(content: Part["content"], isWrapped: boolean): JsonObject {
  switch (content.kind) {
    case "text":
      return { text: content.text };
    case "data":
      return { data: (isWrapped ? content.data.value ?? null : content.data) as JsonValue };
    case "url":
      return { url: content.url };
    case "raw": {
      const { data } = content;
      return { raw: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
    }
    case "none":
      return { text: "" };
    default:
      return content satisfies never;
  }
}
