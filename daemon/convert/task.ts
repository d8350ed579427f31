import type { JsonObject } from "@bufbuild/protobuf";
import type {
  Annotations,
  Artifact,
  Message,
  Part,
  PartContent,
  Task,
  TaskDirection,
  TaskStatus,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { fromTimestamp, toTimestamp } from "./time.ts";

const STATUS_TO_WIRE: Readonly<Record<TaskStatus, pb.TaskStatus>> = {
  submitted: pb.TaskStatus.SUBMITTED,
  working: pb.TaskStatus.WORKING,
  input_required: pb.TaskStatus.INPUT_REQUIRED,
  completed: pb.TaskStatus.COMPLETED,
  failed: pb.TaskStatus.FAILED,
  canceled: pb.TaskStatus.CANCELED,
  rejected: pb.TaskStatus.REJECTED,
  auth_required: pb.TaskStatus.AUTH_REQUIRED,
};
const STATUS_FROM_WIRE = new Map(
  Object.entries(STATUS_TO_WIRE).map(([name, wire]) => [wire, name as TaskStatus]),
);

const DIRECTION_TO_WIRE: Readonly<Record<TaskDirection, pb.TaskDirection>> = {
  outbound: pb.TaskDirection.OUTBOUND,
  inbound: pb.TaskDirection.INBOUND,
};

/** The wire's number of a status. */
export function toStatus(status: TaskStatus): pb.TaskStatus {
  return STATUS_TO_WIRE[status];
}

/** A status from the wire. @throws CodedError `invalid_argument` for an unknown or unset one. */
export function fromStatus(status: pb.TaskStatus): TaskStatus {
  const known = STATUS_FROM_WIRE.get(status);
  if (known === undefined) throw new CodedError("invalid_argument", `Unknown task status ${status}`);
  return known;
}

/** A direction from the wire; undefined when unset. */
export function fromDirection(direction: pb.TaskDirection): TaskDirection | undefined {
  switch (direction) {
    case pb.TaskDirection.OUTBOUND:
      return "outbound";
    case pb.TaskDirection.INBOUND:
      return "inbound";
    default:
      return undefined;
  }
}

/** A message as the wire has it. */
export function toMessage(message: Message): pb.Message {
  return {
    $typeName: "agentanycast.v1.Message",
    messageId: message.messageId,
    role: message.role === "user" ? pb.MessageRole.USER : pb.MessageRole.AGENT,
    parts: message.parts.map(toPart),
    createdAt: toTimestamp(message.createdAtMs),
    ...toAnnotations(message),
    referenceTaskIds: [...message.referenceTaskIds ?? []],
  };
}

/** A message from the wire; `role` stands in when it has none. */
export function fromMessage(message: pb.Message, role: Message["role"]): Message {
  const roles: Record<number, Message["role"]> = {
    [pb.MessageRole.USER]: "user",
    [pb.MessageRole.AGENT]: "agent",
  };
  return {
    messageId: message.messageId,
    role: roles[message.role] ?? role,
    parts: message.parts.map(fromPart),
    createdAtMs: fromTimestamp(message.createdAt),
    ...fromAnnotations(message),
    ...(message.referenceTaskIds.length > 0 && { referenceTaskIds: message.referenceTaskIds }),
  };
}

/** An artifact as the wire has it. */
export function toArtifact(artifact: Artifact): pb.Artifact {
  const { artifactId, name, description = "", parts } = artifact;
  const annotations = toAnnotations(artifact);
  return {
    $typeName: "agentanycast.v1.Artifact",
    artifactId,
    name,
    description,
    parts: parts.map(toPart),
    ...annotations,
  };
}

/** An artifact from the wire. */
export function fromArtifact(artifact: pb.Artifact): Artifact {
  const { artifactId, name, description, parts } = artifact;
  return {
    artifactId,
    name,
    ...(description !== "" && { description }),
    parts: parts.map(fromPart),
    ...fromAnnotations(artifact),
  };
}

function toAnnotations({ metadata, extensions = [] }: Annotations) {
  return { ...(metadata && { metadata: metadata as JsonObject }), extensions: [...extensions] };
}

function fromAnnotations({ metadata, extensions }: Pick<pb.Message, "metadata" | "extensions">): Annotations {
  return { ...(metadata && { metadata }), ...(extensions.length > 0 && { extensions }) };
}

function toPart(part: Part): pb.Part {
  const { mediaType, filename = "" } = part;
  const metadata: Record<string, string> = {};
  let structured: JsonObject | undefined;
  for (const [key, value] of Object.entries(part.metadata)) {
    if (typeof value === "string") metadata[key] = value;
    else structured = { ...structured, [key]: value as JsonObject[string] };
  }
  return {
    $typeName: "agentanycast.v1.Part",
    mediaType,
    metadata,
    filename,
    ...(structured && { structuredMetadata: structured }),
    content: toContent(part.content),
  };
}

function toContent(content: PartContent): pb.Part["content"] {
  switch (content.kind) {
    case "text":
      return { case: "textPart", value: { $typeName: "agentanycast.v1.TextPart", text: content.text } };
    case "data":
      return {
        case: "dataPart",
        value: {
          $typeName: "agentanycast.v1.DataPart",
          data: content.data as NonNullable<pb.DataPart["data"]>,
        },
      };
    case "url":
      return {
        case: "urlPart",
        value: { $typeName: "agentanycast.v1.UrlPart", url: content.url, filename: content.filename },
      };
    case "raw":
      return {
        case: "rawPart",
        value: { $typeName: "agentanycast.v1.RawPart", data: content.data, filename: content.filename },
      };
    case "none":
      return { case: undefined };
    default:
      return content satisfies never;
  }
}

function fromPart(part: pb.Part): Part {
  const { mediaType, filename, structuredMetadata } = part;
  return {
    mediaType,
    metadata: structuredMetadata === undefined ? part.metadata : { ...structuredMetadata, ...part.metadata },
    ...(filename !== "" && { filename }),
    content: fromContent(part.content),
  };
}

function fromContent(content: pb.Part["content"]): PartContent {
  switch (content.case) {
    case "textPart":
      return { kind: "text", text: content.value.text };
    case "dataPart":
      return { kind: "data", data: content.value.data ?? {} };
    case "urlPart":
      return { kind: "url", url: content.value.url, filename: content.value.filename };
    case "rawPart":
      return { kind: "raw", data: content.value.data, filename: content.value.filename };
    case undefined:
      return { kind: "none" };
    default:
      return content satisfies never;
  }
}

/** A task as the wire has it; `localPeerId` is named as the originator of an outbound one. */
export function toTask(task: Task, localPeerId: string): pb.Task {
  return {
    $typeName: "agentanycast.v1.Task",
    taskId: task.taskId,
    contextId: task.contextId,
    status: toStatus(task.status),
    messages: task.messages.map(toMessage),
    artifacts: task.artifacts.map(toArtifact),
    createdAt: toTimestamp(task.createdAtMs),
    updatedAt: toTimestamp(task.updatedAtMs),
    targetSkillId: task.targetSkillId,
    originatorPeerId: task.direction === "outbound" ? localPeerId : task.peerId,
    metadata: { ...task.metadata },
    errorMessage: task.errorMessage,
    peerId: task.peerId,
    direction: DIRECTION_TO_WIRE[task.direction],
    generation: BigInt(task.generation),
    ...(task.deadlineMs !== 0 && { deadline: toTimestamp(task.deadlineMs) }),
    traceParent: task.trace.traceParent,
    traceState: task.trace.traceState,
    cancelRequested: task.cancelRequested,
    caller: task.caller ?? "",
    statusMessageId: task.statusMessageId ?? "",
  };
}

/** A task from the wire. @throws CodedError `invalid_argument` for one without status or direction. */
export function fromTask(task: pb.Task): Task {
  const direction = fromDirection(task.direction);
  if (direction === undefined) {
    throw new CodedError("invalid_argument", `Task ${task.taskId} has no direction`);
  }
  return {
    taskId: task.taskId,
    contextId: task.contextId,
    direction,
    peerId: task.peerId,
    status: fromStatus(task.status),
    targetSkillId: task.targetSkillId,
    messages: task.messages.map((message) => fromMessage(message, "user")),
    artifacts: task.artifacts.map(fromArtifact),
    metadata: task.metadata,
    errorMessage: task.errorMessage,
    createdAtMs: fromTimestamp(task.createdAt),
    updatedAtMs: fromTimestamp(task.updatedAt),
    generation: Number(task.generation),
    deadlineMs: fromTimestamp(task.deadline),
    trace: { traceParent: task.traceParent, traceState: task.traceState },
    cancelRequested: task.cancelRequested,
    ...(task.caller !== "" && { caller: task.caller }),
    ...(task.statusMessageId !== "" && { statusMessageId: task.statusMessageId }),
  };
}
