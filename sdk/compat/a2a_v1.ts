import { Buffer } from "node:buffer";
import type { Artifact, JsonObject, JsonValue, Message, Part, Task, TaskStatus } from "../model.ts";
import {
  asList,
  asObject,
  asText,
  defined,
  type Extra,
  isObject,
  marked,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  textOrNothing,
  unmarked,
  unreadable,
} from "./json.ts";

/** A part, and what else its JSON says. */
export type CompatPart = Part & Extra;
/** A message, and what else its JSON says. */
export type CompatMessage = Omit<Message, "parts"> & Extra & { readonly parts: readonly CompatPart[] };
/** An artifact, and what else its JSON says. */
export type CompatArtifact = Omit<Artifact, "parts"> & Extra & { readonly parts: readonly CompatPart[] };
/** A task, and what else its JSON says. */
export type CompatTask = Omit<Task, "messages" | "artifacts"> & Extra & {
  readonly messages: readonly CompatMessage[];
  readonly artifacts: readonly CompatArtifact[];
};

/** Marks a part whose data are no JSON object: the object in their place has them as `value`. */
export const WRAPPED_DATA = "agentanycast.wrapped";
const CREATED_AT = "agentanycast.createdAt";
const TASK_FACTS = "agentanycast.task";
const STATUS_MESSAGE = "statusMessage";

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

export function toPartV1(part: CompatPart): JsonObject {
  const { [WRAPPED_DATA]: _mark, ...texts } = part.metadata ?? {};
  const { metadata, ...extra } = part.extra ?? {};
  return present({
    ...toContent(part),
    metadata: nonEmpty({ ...(isWrapped(part) ? texts : part.metadata), ...(isObject(metadata) && metadata) }),
    filename: part.filename,
    mediaType: part.mediaType,
    ...extra,
  });
}

/** Whether the data of a part are in an object only since they are none. */
export function isWrapped({ data, metadata }: Part): boolean {
  return metadata?.[WRAPPED_DATA] === "true" && Object.keys(data ?? {}).join() === "value";
}

/** Throws `TypeError` unless a part has exactly one content. */
export function assertOneContent({ text, data, url, raw }: Part): void {
  if ([text, data, url, raw].filter((content) => content !== undefined).length === 1) return;
  throw new TypeError("A part must have exactly one of text, data, url and raw");
}

function toContent(part: Part): JsonObject {
  assertOneContent(part);
  const { text, data, url, raw } = part;
  if (text !== undefined) return { text };
  if (url !== undefined) return { url };
  if (data !== undefined) return { data: isWrapped(part) ? data.value ?? null : data };
  return { raw: Buffer.from(raw ?? []).toString("base64") };
}

export function fromPartV1(value: unknown, what: string): CompatPart {
  const json = asObject(value, what);
  const names = ["text", "raw", "url", "data"].filter((name) => json[name] !== undefined);
  if (names.length !== 1) {
    throw unreadable(
      what,
      `it has ${names.join(" and ") || "no content"}`,
      "give one of text, raw, url and data",
    );
  }
  const { data, metadata } = json;
  const isOther = data !== undefined && !isObject(data);
  const [texts, rest] = splitMetadata(metadata);
  if (isOther) texts[WRAPPED_DATA] = "true";
  return defined<CompatPart>({
    text: json.text === undefined ? undefined : asContentText(json.text, `${what}.text`),
    url: json.url === undefined ? undefined : asContentText(json.url, `${what}.url`),
    raw: json.raw === undefined ? undefined : fromBase64(json.raw, `${what}.raw`),
    data: isObject(data) ? data : isOther ? { value: data } : undefined,
    filename: stringOrNothing(json.filename),
    mediaType: stringOrNothing(json.mediaType),
    metadata: Object.keys(texts).length > 0 ? texts : undefined,
    extra: nonEmpty({
      ...others(json, [...names, "filename", "mediaType", "metadata"]),
      ...(nonEmpty(rest) && { metadata: rest }),
    }),
  });
}

function asContentText(value: JsonValue, what: string): string {
  return value === "" ? "" : asText(value, what);
}

/** Bytes from base64. Throws `invalid_argument` for what is none. */
export function fromBase64(value: JsonValue, what: string): Uint8Array {
  const text = asContentText(value, what);
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) {
    throw unreadable(what, "it is not base64", "encode the bytes as base64");
  }
  return new Uint8Array(Buffer.from(text, "base64"));
}

/** The texts among the metadata, for which there is a place, and the rest. */
function splitMetadata(metadata: JsonValue | undefined): [Record<string, string>, JsonObject] {
  const all = Object.entries(isObject(metadata) ? metadata : {});
  const texts = all.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const rest = all.filter(([, value]) => typeof value !== "string");
  return [Object.fromEntries(texts), Object.fromEntries(rest)];
}

/** @param id what a message without an id is called. */
export function toMessageV1(message: CompatMessage, id: string): JsonObject {
  const { metadata, ...extra } = message.extra ?? {};
  return present({
    messageId: message.messageId ?? id,
    role: message.role === "agent" ? "ROLE_AGENT" : "ROLE_USER",
    parts: message.parts.map(toPartV1),
    ...extra,
    metadata: nonEmpty({
      ...(isObject(metadata) && metadata),
      ...(message.createdAt && { [CREATED_AT]: message.createdAt.toISOString() }),
    }),
  });
}

export function fromMessageV1(value: unknown, what: string): CompatMessage {
  const json = asObject(value, what);
  const metadata = isObject(json.metadata) ? json.metadata : {};
  const isKnownRole = json.role === "ROLE_USER" || json.role === "ROLE_AGENT";
  const createdAt = dateOf(metadata[CREATED_AT]);
  const rest = nonEmpty(createdAt === undefined ? metadata : others(metadata, [CREATED_AT]));
  return defined<CompatMessage>({
    role: json.role === "ROLE_AGENT" ? "agent" : "user",
    parts: asList(json.parts, `${what}.parts`).map((part, i) => fromPartV1(part, `${what}.parts[${i}]`)),
    messageId: textOrNothing(json.messageId),
    createdAt,
    extra: nonEmpty({
      ...others(json, ["messageId", "parts", "metadata", ...isKnownRole ? ["role"] : []]),
      ...(rest && { metadata: rest }),
    }),
  });
}

/** @param id what an artifact without an id is called. */
export function toArtifactV1(artifact: CompatArtifact, id: string): JsonObject {
  return present({
    artifactId: artifact.artifactId ?? id,
    name: artifact.name,
    parts: artifact.parts.map(toPartV1),
    ...artifact.extra,
  });
}

export function fromArtifactV1(value: unknown, what: string): CompatArtifact {
  const json = asObject(value, what);
  return defined<CompatArtifact>({
    parts: asList(json.parts, `${what}.parts`).map((part, i) => fromPartV1(part, `${what}.parts[${i}]`)),
    artifactId: textOrNothing(json.artifactId),
    name: stringOrNothing(json.name),
    extra: nonEmpty(others(json, ["artifactId", "name", "parts"])),
  });
}

export function toTaskV1(task: CompatTask): JsonObject {
  const { metadata, status, [STATUS_MESSAGE]: isLastOfStatus, ...extra } = task.extra ?? {};
  const messages = task.messages.map((message, i) => toMessageV1(message, `${task.taskId}-m${i + 1}`));
  const said = isLastOfStatus === true ? messages.pop() : undefined;
  const reason = task.error === undefined || said !== undefined
    ? undefined
    : toReason(task.taskId, task.error);
  const artifacts = task.artifacts.map((artifact, i) => toArtifactV1(artifact, `artifact-${i + 1}`));
  const facts = nonEmpty(toFacts(task, said !== undefined));
  return present({
    id: task.taskId,
    contextId: textOrNothing(task.contextId),
    status: present({
      state: STATES[task.status],
      message: said ?? reason,
      timestamp: task.updatedAt?.toISOString(),
      ...(isObject(status) && status),
    }),
    history: messages.length > 0 ? messages : undefined,
    artifacts: artifacts.length > 0 ? artifacts : undefined,
    metadata: nonEmpty({
      ...marked(task.metadata, [TASK_FACTS]),
      ...(isObject(metadata) && metadata),
      ...(facts && { [TASK_FACTS]: facts }),
    }),
    ...extra,
  });
}

/** What A2A has no member for. */
function toFacts(task: CompatTask, hasStatusMessage: boolean): JsonObject {
  return present({
    error: hasStatusMessage ? task.error : undefined,
    targetSkillId: task.targetSkillId,
    peerId: task.peerId,
    direction: task.direction,
    originatorPeerId: task.originatorPeerId,
    createdAt: task.createdAt?.toISOString(),
    deadline: task.deadline?.toISOString(),
    generation: task.generation,
    cancelRequested: task.cancelRequested,
    traceParent: task.traceParent,
    traceState: task.traceState,
  });
}

function toReason(taskId: string, error: string): JsonObject {
  return { messageId: `${taskId}-reason`, role: "ROLE_AGENT", parts: [{ text: error }] };
}

export function fromTaskV1(value: unknown): CompatTask {
  const json = asObject(value, "the A2A task");
  const taskId = asText(json.id, "id of the A2A task");
  const status = json.status === undefined ? {} : asObject(json.status, "status of the A2A task");
  const state = STATUS_OF.get(String(status.state));
  const updatedAt = dateOf(status.timestamp);
  const reason = reasonOf(status.message, taskId);
  const said = status.message === undefined || reason !== undefined
    ? undefined
    : fromMessageV1(status.message, "status.message");
  const [texts, { [TASK_FACTS]: facts, ...rest }] = splitMetadata(json.metadata);
  const metadata = unmarked(texts, [TASK_FACTS]) as Record<string, string>;
  const messages = asList(json.history, "history").map((message, i) =>
    fromMessageV1(message, `history[${i}]`)
  );
  const statusRest = others(status, [
    "message",
    ...state === undefined ? [] : ["state"],
    ...updatedAt === undefined || updatedAt.toISOString() !== status.timestamp ? [] : ["timestamp"],
  ]);
  return defined<CompatTask>({
    taskId,
    contextId: textOrNothing(json.contextId) ?? "",
    status: state ?? "submitted",
    messages: said === undefined ? messages : [...messages, said],
    artifacts: asList(json.artifacts, "artifacts").map((one, i) => fromArtifactV1(one, `artifacts[${i}]`)),
    metadata,
    ...fromFacts(isObject(facts) ? facts : {}),
    ...(reason !== undefined && { error: reason }),
    updatedAt,
    extra: nonEmpty(present({
      ...others(json, ["id", "contextId", "status", "history", "artifacts", "metadata"]),
      metadata: nonEmpty(rest),
      status: nonEmpty(statusRest),
      [STATUS_MESSAGE]: said === undefined ? undefined : true,
    })),
  });
}

/** Why a task ended, when it is told in the form that it is written in here and in the bridge of a node. */
function reasonOf(message: JsonValue | undefined, taskId: string): string | undefined {
  if (!isObject(message) || message.messageId !== `${taskId}-reason` || !Array.isArray(message.parts)) {
    return undefined;
  }
  const [part, ...more] = message.parts;
  return isObject(part) && typeof part.text === "string" && more.length === 0 ? part.text : undefined;
}

function fromFacts(facts: JsonObject): Partial<Task> {
  const { direction, generation } = facts;
  return defined<Partial<Task>>({
    error: stringOrNothing(facts.error),
    targetSkillId: stringOrNothing(facts.targetSkillId),
    peerId: stringOrNothing(facts.peerId),
    direction: direction === "inbound" || direction === "outbound" ? direction : undefined,
    originatorPeerId: stringOrNothing(facts.originatorPeerId),
    createdAt: dateOf(facts.createdAt),
    deadline: dateOf(facts.deadline),
    generation: typeof generation === "number" ? generation : undefined,
    cancelRequested: typeof facts.cancelRequested === "boolean" ? facts.cancelRequested : undefined,
    traceParent: stringOrNothing(facts.traceParent),
    traceState: stringOrNothing(facts.traceState),
  });
}

function dateOf(value: JsonValue | undefined): Date | undefined {
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms);
}
