import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Artifact as WireArtifact,
  type ArtifactSchema,
  type Message as WireMessage,
  MessageRole,
  type MessageSchema,
  type Part as WirePart,
  type PartSchema,
  type Task as WireTask,
  TaskDirection as WireDirection,
  TaskStatus as WireStatus,
} from "../gen/agentanycast/v1/a2a_models_pb.ts";
import type { SubscribeTaskUpdatesResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import { AgentAnycastError } from "./errors.ts";
import type {
  Artifact,
  JsonObject,
  Message,
  MessageInput,
  Part,
  Task,
  TaskDirection,
  TaskStatus,
  TaskUpdate,
} from "./model.ts";

type PartInit = MessageInitShape<typeof PartSchema>;
type MessageInit = MessageInitShape<typeof MessageSchema>;
type ArtifactInit = MessageInitShape<typeof ArtifactSchema>;

const WIRE_STATUS: Readonly<Record<TaskStatus, WireStatus>> = {
  submitted: WireStatus.SUBMITTED,
  working: WireStatus.WORKING,
  input_required: WireStatus.INPUT_REQUIRED,
  completed: WireStatus.COMPLETED,
  failed: WireStatus.FAILED,
  canceled: WireStatus.CANCELED,
  rejected: WireStatus.REJECTED,
  auth_required: WireStatus.AUTH_REQUIRED,
};

const STATUS_BY_NUMBER = new Map(
  Object.entries(WIRE_STATUS).map(([status, number]) => [number, status as TaskStatus]),
);

export function toWireStatus(status: TaskStatus): WireStatus {
  const number = WIRE_STATUS[status];
  if (number === undefined) throw new TypeError(`Not a task status: ${String(status)}`);
  return number;
}

/** A number this version does not know counts as `submitted`: the task exists and is not over. */
export function fromWireStatus(status: WireStatus): TaskStatus {
  return STATUS_BY_NUMBER.get(status) ?? "submitted";
}

/** Throws `TypeError` unless the part has exactly one content. */
export function toWirePart(part: Part): PartInit {
  return { content: toWireContent(part), mediaType: part.mediaType ?? "", metadata: { ...part.metadata } };
}

function toWireContent({ text, data, url, raw, filename = "" }: Part): NonNullable<PartInit["content"]> {
  if ([text, data, url, raw].filter((content) => content !== undefined).length !== 1) {
    throw new TypeError("A part must have exactly one of text, data, url and raw");
  }
  if (text !== undefined) return { case: "textPart", value: { text } };
  if (data !== undefined) return { case: "dataPart", value: { data: toJsonObject(data) } };
  if (url !== undefined) return { case: "urlPart", value: { url, filename } };
  return { case: "rawPart", value: { data: new Uint8Array(raw ?? []), filename } };
}

/** What JSON makes of `data`: dates become text, undefined members go. */
function toJsonObject(data: JsonObject): JsonObject {
  const plain: unknown = JSON.parse(JSON.stringify(data) ?? "null");
  if (plain === null || typeof plain !== "object" || Array.isArray(plain)) {
    throw new TypeError("The data of a part must be a JSON object; put other values into one");
  }
  return plain as JsonObject;
}

export function fromWirePart({ content, mediaType, metadata }: WirePart): Part {
  return {
    ...fromWireContent(content),
    ...(mediaType === "" ? {} : { mediaType }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata: { ...metadata } }),
  };
}

function fromWireContent(content: WirePart["content"]): Part {
  switch (content.case) {
    case "textPart":
      return { text: content.value.text };
    case "dataPart":
      return { data: content.value.data ?? {} };
    case "urlPart":
      return { url: content.value.url, ...optional("filename", content.value.filename) };
    case "rawPart":
      return { raw: content.value.data, ...optional("filename", content.value.filename) };
    case undefined:
      return {}; // a kind of part that this version does not know
  }
}

/** `input` as a message; a bare text or parts get `role`. */
export function toMessage(input: MessageInput, role: Message["role"]): Message {
  if (typeof input === "string") return { role, parts: [{ text: input }] };
  return "parts" in input ? input : { role, parts: input };
}

export function toWireMessage(message: Message): MessageInit {
  return {
    messageId: message.messageId ?? "",
    role: message.role === "agent" ? MessageRole.AGENT : MessageRole.USER,
    parts: message.parts.map(toWirePart),
    ...(message.createdAt === undefined ? {} : { createdAt: timestampFromDate(message.createdAt) }),
  };
}

export function fromWireMessage(message: WireMessage): Message {
  return {
    role: message.role === MessageRole.AGENT ? "agent" : "user",
    parts: message.parts.map(fromWirePart),
    ...optional("messageId", message.messageId),
    ...optional("createdAt", dateOf(message.createdAt)),
  };
}

/** A text becomes one artifact with one text part. */
export function toArtifacts(result: string | Artifact | readonly Artifact[]): readonly Artifact[] {
  if (typeof result === "string") return [{ parts: [{ text: result }] }];
  return "parts" in result ? [result] : result;
}

export function toWireArtifact(artifact: Artifact): ArtifactInit {
  return {
    artifactId: artifact.artifactId ?? "",
    name: artifact.name ?? "",
    parts: artifact.parts.map(toWirePart),
  };
}

export function fromWireArtifact(artifact: WireArtifact): Artifact {
  return {
    parts: artifact.parts.map(fromWirePart),
    ...optional("artifactId", artifact.artifactId),
    ...optional("name", artifact.name),
  };
}

const DIRECTIONS: Readonly<Record<WireDirection, TaskDirection | undefined>> = {
  [WireDirection.UNSPECIFIED]: undefined,
  [WireDirection.OUTBOUND]: "outbound",
  [WireDirection.INBOUND]: "inbound",
};

export function toWireDirection(direction: TaskDirection | undefined): WireDirection {
  if (direction === undefined) return WireDirection.UNSPECIFIED;
  return direction === "inbound" ? WireDirection.INBOUND : WireDirection.OUTBOUND;
}

/** Throws `data_loss` when the daemon answered without a task. */
export function fromWireTask(task: WireTask | undefined): Task {
  if (task === undefined) throw new AgentAnycastError("data_loss", "The daemon answered without a task");
  return {
    taskId: task.taskId,
    contextId: task.contextId,
    status: fromWireStatus(task.status),
    messages: task.messages.map(fromWireMessage),
    artifacts: task.artifacts.map(fromWireArtifact),
    metadata: { ...task.metadata },
    ...optional("error", task.errorMessage),
    ...optional("targetSkillId", task.targetSkillId),
    ...optional("peerId", task.peerId),
    ...optional("direction", DIRECTIONS[task.direction]),
    ...optional("originatorPeerId", task.originatorPeerId),
    ...optional("createdAt", dateOf(task.createdAt)),
    ...optional("updatedAt", dateOf(task.updatedAt)),
    ...optional("deadline", dateOf(task.deadline)),
    ...optional("generation", Number(task.generation) || undefined),
    ...optional("cancelRequested", task.cancelRequested || undefined),
    ...optional("traceParent", task.traceParent),
    ...optional("traceState", task.traceState),
  };
}

export function fromWireUpdate(update: SubscribeTaskUpdatesResponse): TaskUpdate {
  return {
    taskId: update.taskId,
    status: fromWireStatus(update.status),
    artifacts: update.artifacts.map(fromWireArtifact),
    ...(update.message === undefined ? {} : { message: fromWireMessage(update.message) }),
    ...optional("error", update.errorMessage),
    ...optional("generation", Number(update.generation) || undefined),
    ...optional("peerId", update.peerId),
  };
}

/** The update that tells how a task stands, with the last word of its agent. */
export function toUpdate({ taskId, status, artifacts, error, messages, generation }: Task): TaskUpdate {
  const message = messages.findLast(({ role }) => role === "agent");
  return {
    taskId,
    status,
    artifacts,
    ...(error === undefined ? {} : { error }),
    ...(message === undefined ? {} : { message }),
    ...(generation === undefined ? {} : { generation }),
  };
}

/** `{ [key]: value }`, or nothing when the value is absent: on the wire absence is the empty value. */
export function optional<K extends string, V>(key: K, value: V | "" | undefined): { [P in K]?: V } {
  return value === "" || value === undefined ? {} : { [key]: value } as { [P in K]?: V };
}

/** A time on the wire, if there is one. */
export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp === undefined ? undefined : timestampDate(timestamp);
}

/** All text parts of the messages or artifacts, one per line. */
export function textOf(holders: readonly { readonly parts: readonly Part[] }[]): string {
  return holders.flatMap(({ parts }) => parts.flatMap(({ text }) => text ?? [])).join("\n");
}
