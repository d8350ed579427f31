import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";

/** `{ name: value }`, or nothing when the value is missing. */
function member(name: string, value: JsonValue | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function object(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** `TASK_STATE_INPUT_REQUIRED` is `input-required` in 0.3. */
export function toStateV03(state: JsonValue | undefined): string {
  return String(state ?? "unknown").replace(/^TASK_STATE_/, "").toLowerCase().replaceAll("_", "-");
}

/** States of 0.3 after which a task does not change. */
const FINAL = ["completed", "canceled", "failed", "rejected"];

/** A task of 1.0 as JSON of 0.3. */
export function toTaskV03(task: JsonObject): JsonObject {
  const { id, contextId, status, artifacts, history, metadata } = task;
  return {
    kind: "task",
    ...member("id", id),
    ...member("contextId", contextId),
    status: toStatusV03(object(status)),
    ...(artifacts !== undefined && { artifacts: list(artifacts).map((one) => toArtifactV03(object(one))) }),
    ...(history !== undefined && { history: list(history).map((one) => toMessageV03(object(one))) }),
    ...member("metadata", metadata),
  };
}

function toStatusV03({ state, message, timestamp }: JsonObject): JsonObject {
  return {
    state: toStateV03(state),
    ...(message !== undefined && { message: toMessageV03(object(message)) }),
    ...member("timestamp", timestamp),
  };
}

/** A message of 1.0 as JSON of 0.3. */
function toMessageV03(message: JsonObject): JsonObject {
  const { role, parts, ...rest } = message;
  return {
    kind: "message",
    ...rest,
    role: role === "ROLE_USER" ? "user" : "agent",
    parts: list(parts).map((one) => toPartV03(object(one))),
  };
}

function toArtifactV03({ parts, ...rest }: JsonObject): JsonObject {
  return { ...rest, parts: list(parts).map((one) => toPartV03(object(one))) };
}

function toPartV03({ text, raw, url, data, metadata, filename, mediaType }: JsonObject): JsonObject {
  const facts = member("metadata", metadata);
  if (text !== undefined) return { kind: "text", text, ...facts };
  if (raw !== undefined || url !== undefined) {
    const content = raw === undefined ? member("uri", url) : member("bytes", raw);
    const file = { ...content, ...member("mimeType", mediaType), ...member("name", filename) };
    return { kind: "file", file, ...facts };
  }
  // In 0.3 data are an object.
  if (isJsonObject(data)) return { kind: "data", data, ...facts };
  return {
    kind: "data",
    data: { value: data ?? null },
    metadata: { ...object(metadata), data_part_compat: true },
  };
}

/** An event of a stream of 1.0 as JSON of 0.3. @param isFinal whether it is the last of its stream. */
export function toEventV03(response: JsonObject, isFinal: boolean): JsonObject {
  const { task, message, statusUpdate, artifactUpdate } = response;
  if (task !== undefined) return toTaskV03(object(task));
  if (message !== undefined) return toMessageV03(object(message));
  if (artifactUpdate !== undefined) {
    const { artifact, ...rest } = object(artifactUpdate);
    return { kind: "artifact-update", append: false, ...rest, artifact: toArtifactV03(object(artifact)) };
  }
  const { status, ...rest } = object(statusUpdate);
  const told = toStatusV03(object(status));
  return {
    kind: "status-update",
    ...rest,
    status: told,
    final: isFinal || FINAL.includes(String(told.state)),
  };
}

/** A webhook of 1.0 as JSON of 0.3: a TaskPushNotificationConfig. */
export function toPushConfigV03({ taskId, id, url, token, authentication }: JsonObject): JsonObject {
  const { scheme, credentials } = object(authentication);
  return {
    ...member("taskId", taskId),
    pushNotificationConfig: {
      ...member("id", id),
      ...member("url", url),
      ...member("token", token),
      ...(scheme !== undefined &&
        { authentication: { schemes: [scheme], ...member("credentials", credentials) } }),
    },
  };
}
