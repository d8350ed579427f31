import {
  type Artifact as WireArtifact,
  type Message as WireMessage,
  type Part as WirePart,
  Role,
  type SendMessageRequest,
  type StreamResponse,
  type Task as WireTask,
  TaskState,
} from "@a2a-js/sdk";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Annotations, Artifact, Message, Part, PartContent, TaskStatus } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { isJsonObject } from "../../../core/json.ts";
import type { RemoteEvent, RemoteTask, RemoteTurn } from "../remote_agent.ts";

/** Key of a message's metadata under which the skill that is asked for travels: A2A has no field for it. */
const SKILL_KEY = "skillId";

const STATUSES: Readonly<Partial<Record<TaskState, TaskStatus>>> = {
  [TaskState.TASK_STATE_SUBMITTED]: "submitted",
  [TaskState.TASK_STATE_WORKING]: "working",
  [TaskState.TASK_STATE_INPUT_REQUIRED]: "input_required",
  [TaskState.TASK_STATE_AUTH_REQUIRED]: "auth_required",
  [TaskState.TASK_STATE_COMPLETED]: "completed",
  [TaskState.TASK_STATE_FAILED]: "failed",
  [TaskState.TASK_STATE_CANCELED]: "canceled",
  [TaskState.TASK_STATE_REJECTED]: "rejected",
};

/** The request that brings `turn` to an agent. */
export function toSendRequest(turn: RemoteTurn): SendMessageRequest {
  const { message, remoteTaskId, contextId, targetSkillId, metadata } = turn;
  return {
    tenant: "",
    message: {
      messageId: message.messageId,
      contextId,
      taskId: remoteTaskId,
      role: message.role === "agent" ? Role.ROLE_AGENT : Role.ROLE_USER,
      parts: message.parts.map(toPart),
      metadata: orNone({ ...message.metadata, ...(targetSkillId !== "" && { [SKILL_KEY]: targetSkillId }) }),
      extensions: [...message.extensions ?? []],
      referenceTaskIds: [...message.referenceTaskIds ?? []],
    },
    configuration: {
      acceptedOutputModes: [],
      taskPushNotificationConfig: undefined,
      returnImmediately: true,
    },
    metadata: orNone(metadata),
  };
}

/** @throws CodedError `data_loss` for an event that holds nothing. */
export function fromStreamResponse({ payload }: StreamResponse): RemoteEvent {
  switch (payload?.$case) {
    case "task":
      return { kind: "task", task: fromTask(payload.value) };
    case "message":
      return { kind: "message", message: fromMessage(payload.value) };
    case "statusUpdate": {
      const { taskId, contextId, status } = payload.value;
      return {
        kind: "status",
        remoteTaskId: taskId,
        contextId,
        status: fromState(status?.state),
        message: status?.message && fromMessage(status.message),
      };
    }
    case "artifactUpdate": {
      const { taskId, contextId, artifact, append } = payload.value;
      if (artifact === undefined) throw senseless("an update without its artifact");
      return { kind: "artifact", remoteTaskId: taskId, contextId, artifact: fromArtifact(artifact), append };
    }
    case undefined:
      throw senseless("an empty event");
    default:
      return payload satisfies never;
  }
}

/** What a call that is no stream has answered. */
export function fromSendResult(result: WireTask | WireMessage): RemoteEvent {
  return "messageId" in result
    ? { kind: "message", message: fromMessage(result) }
    : { kind: "task", task: fromTask(result) };
}

/** @throws CodedError `data_loss` for a task without id or status. */
export function fromTask(task: WireTask): RemoteTask {
  if (!task.id) throw senseless("a task without an id");
  return {
    remoteTaskId: task.id,
    contextId: task.contextId ?? "",
    status: fromState(task.status?.state),
    message: task.status?.message && fromMessage(task.status.message),
    history: (task.history ?? []).map(fromMessage),
    artifacts: (task.artifacts ?? []).map(fromArtifact),
  };
}

function fromState(state: TaskState | undefined): TaskStatus {
  const status = state === undefined ? undefined : STATUSES[state];
  if (status === undefined) throw senseless("a task in a state that is not known");
  return status;
}

/** A message without an id gets one that is the same each time it is shown. */
function fromMessage(message: WireMessage): Message {
  const parts = (message.parts ?? []).map(fromPart);
  const { messageId: id = "" } = message;
  const isUsable = id !== "" && id.length <= 256;
  return {
    messageId: isUsable ? id : createHash("sha256").update(JSON.stringify([id, message.parts])).digest("hex"),
    role: message.role === Role.ROLE_USER ? "user" : "agent",
    parts,
    createdAtMs: Date.now(),
    ...annotations(message),
    ...(message.referenceTaskIds?.length > 0 && { referenceTaskIds: message.referenceTaskIds }),
  };
}

function fromArtifact(artifact: WireArtifact): Artifact {
  const { artifactId, name, description, parts } = artifact;
  return {
    artifactId: artifactId ?? "",
    name: name ?? "",
    parts: (parts ?? []).map(fromPart),
    ...(description && { description }),
    ...annotations(artifact),
  };
}

function annotations({ metadata, extensions }: Pick<WireMessage, "metadata" | "extensions">): Annotations {
  return {
    ...(metadata !== undefined && Object.keys(metadata).length > 0 && { metadata }),
    ...(extensions?.length > 0 && { extensions }),
  };
}

function fromPart({ content, filename, mediaType, metadata }: WirePart): Part {
  const read = fromContent(content, filename ?? "");
  return {
    content: read,
    mediaType: mediaType ?? "",
    metadata: metadata ?? {},
    ...(filename && !("filename" in read) && { filename }),
  };
}

function fromContent(content: WirePart["content"], filename: string): PartContent {
  switch (content?.$case) {
    case "text":
      return { kind: "text", text: content.value };
    case "raw":
      return { kind: "raw", data: new Uint8Array(content.value), filename };
    case "url":
      return { kind: "url", url: content.value, filename };
    case "data":
      return {
        kind: "data",
        data: isJsonObject(content.value) ? content.value : { value: content.value ?? null },
      };
    case undefined:
      return { kind: "none" };
    default:
      return content satisfies never;
  }
}

function toPart({ content, mediaType, metadata, filename = "" }: Part): WirePart {
  return {
    content: toContent(content),
    metadata: orNone(metadata),
    filename: "filename" in content ? content.filename : filename,
    mediaType,
  };
}

function orNone(metadata: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  return Object.keys(metadata).length === 0 ? undefined : { ...metadata };
}

function toContent(content: PartContent): WirePart["content"] {
  switch (content.kind) {
    case "text":
      return { $case: "text", value: content.text };
    case "raw":
      return { $case: "raw", value: Buffer.from(content.data) };
    case "url":
      return { $case: "url", value: content.url };
    case "data":
      return { $case: "data", value: content.data };
    case "none":
      return { $case: "text", value: "" };
    default:
      return content satisfies never;
  }
}

function senseless(what: string): CodedError {
  return new CodedError("data_loss", `The agent answered with ${what}: its A2A server is at fault`);
}
