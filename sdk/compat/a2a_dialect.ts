import { Buffer } from "node:buffer";
import type { JsonObject, JsonValue } from "../model.ts";
import { asList, isObject, nonEmpty, others, present, textOrNothing } from "./json.ts";

/** Versions of A2A JSON: the released 1.0 and 0.3, and the form that the older SDKs of the network call A2A. */
export type A2aVersion = "1.0" | "0.3" | "legacy";
type OlderVersion = Exclude<A2aVersion, "1.0">;

const MEDIA_TYPE: Readonly<Record<OlderVersion, string>> = {
  "0.3": "agentanycast.mediaType",
  legacy: "media_type",
};
const FILENAME = "agentanycast.filename";
/** By which the official SDKs of A2A mark data in 0.3 that are no object. */
const WRAPPED = "data_part_compat";
/** Marks data in the legacy form that look like bytes and are none. */
const IS_DATA = "agentanycast.data";
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

const UNSPECIFIED = "TASK_STATE_UNSPECIFIED";

/** A part of 1.0 in an older form. */
export function toOlderPart(part: JsonObject, version: OlderVersion): JsonObject {
  const { text, raw, url, data, metadata, filename, mediaType, ...rest } = part;
  const kind = version === "0.3" ? "kind" : "type";
  const facts = (more: JsonObject) => nonEmpty({ ...(isObject(metadata) && metadata), ...more });
  const named = present({ [MEDIA_TYPE[version]]: mediaType, [FILENAME]: filename });
  if (text !== undefined) return present({ [kind]: "text", text, metadata: facts(named), ...rest });
  if (data !== undefined) {
    return present({ [kind]: "data", ...toOlderData(data, facts(named), version), ...rest });
  }
  if (version === "legacy" && raw !== undefined) {
    const hex = Buffer.from(String(raw), "base64").toString("hex");
    return present({ type: "data", data: { raw: hex }, metadata: facts(named), ...rest });
  }
  const file = version === "0.3"
    ? present({ uri: url, bytes: raw, name: filename, mimeType: mediaType })
    : present({ url, name: filename, mimeType: mediaType });
  return present({ [kind]: "file", file, metadata: facts({}), ...rest });
}

function toOlderData(data: JsonValue, metadata: JsonObject | undefined, version: OlderVersion): JsonObject {
  if (!isObject(data)) return { data: { value: data }, metadata: { ...metadata, [WRAPPED]: true } };
  const isLikeBytes = version === "legacy" && bytesOf(data) !== undefined;
  return present({ data, metadata: isLikeBytes ? { ...metadata, [IS_DATA]: "true" } : metadata });
}

function bytesOf(data: JsonObject): string | undefined {
  const { raw } = data;
  return Object.keys(data).length === 1 && typeof raw === "string" && HEX.test(raw) ? raw : undefined;
}

/** A part of an older form in that of 1.0. What is malformed stays so, and is refused later. */
export function fromOlderPart(part: JsonValue, version: OlderVersion): JsonValue {
  if (!isObject(part)) return part;
  const { kind: _kind, type: _type, text, file, data, metadata, ...rest } = part;
  const facts = isObject(metadata) ? metadata : {};
  const { [MEDIA_TYPE[version]]: mediaType, [FILENAME]: filename, ...free } = facts;
  if (isObject(file)) {
    const { uri, url, bytes, name, mimeType, ...more } = file;
    const content = { url: uri ?? url, raw: bytes, filename: name, mediaType: mimeType };
    return present({ ...content, metadata: nonEmpty(facts), ...more, ...rest });
  }
  const named = { mediaType, filename };
  if (text !== undefined || !isObject(data)) {
    return present({ text, data, metadata: nonEmpty(free), ...named, ...rest });
  }
  const { [WRAPPED]: isWrapped, [IS_DATA]: isData, ...marked } = free;
  if (isWrapped === true) return present({ data: data.value, metadata: nonEmpty(marked), ...named, ...rest });
  const hex = version === "legacy" && isData === undefined ? bytesOf(data) : undefined;
  const content = hex === undefined ? { data } : { raw: Buffer.from(hex, "hex").toString("base64") };
  return present({ ...content, metadata: nonEmpty(others(free, [IS_DATA])), ...named, ...rest });
}

/** A message of 1.0 in an older form. */
export function toOlderMessage(message: JsonObject, version: OlderVersion): JsonObject {
  const { role, parts, ...rest } = message;
  return present({
    kind: version === "0.3" ? "message" : undefined,
    role: role === "ROLE_AGENT" ? "agent" : role === "ROLE_USER" ? "user" : role,
    parts: toOlderParts(parts, version),
    ...rest,
  });
}

/** A message of an older form in that of 1.0. */
export function fromOlderMessage(message: JsonValue, version: OlderVersion): JsonValue {
  if (!isObject(message)) return message;
  const { kind: _kind, role = "user", parts, messageId, message_id, ...rest } = message;
  return present({
    messageId: messageId ?? message_id,
    role: role === "agent" ? "ROLE_AGENT" : role === "user" ? "ROLE_USER" : role,
    parts: fromOlderParts(parts, version),
    ...rest,
  });
}

/** An artifact of 1.0 in an older form. */
export function toOlderArtifact(artifact: JsonObject, version: OlderVersion): JsonObject {
  return { ...artifact, parts: toOlderParts(artifact.parts, version) };
}

/** An artifact of an older form in that of 1.0. */
export function fromOlderArtifact(artifact: JsonValue, version: OlderVersion): JsonValue {
  if (!isObject(artifact)) return artifact;
  const { artifactId, artifact_id, parts, ...rest } = artifact;
  return present({
    artifactId: artifactId ?? artifact_id,
    parts: fromOlderParts(parts, version),
    ...rest,
  });
}

/** A task of 1.0 in an older form. */
export function toOlderTask(task: JsonObject, version: OlderVersion): JsonObject {
  const { status, history, artifacts, ...rest } = task;
  const { state, message, ...more } = isObject(status) ? status : {};
  return present({
    kind: version === "0.3" ? "task" : undefined,
    ...rest,
    status: present({
      state: toOlderState(state),
      message: isObject(message) ? toOlderMessage(message, version) : undefined,
      ...more,
    }),
    history: mapObjects(history, (one) => toOlderMessage(one, version)),
    artifacts: mapObjects(artifacts, (one) => toOlderArtifact(one, version)),
  });
}

/** A task of an older form in that of 1.0. */
export function fromOlderTask(task: JsonObject, version: OlderVersion): JsonObject {
  const { kind: _kind, id, contextId, context_id, status, history, artifacts, ...rest } = task;
  const { state, message, ...more } = isObject(status) ? status : present({ state: status });
  return present({
    id,
    contextId: contextId ?? context_id,
    status: present({
      state: fromOlderState(state),
      message: message === undefined ? undefined : fromOlderMessage(message, version),
      ...more,
    }),
    history: mapItems(history, (one) => fromOlderMessage(one, version)),
    artifacts: mapItems(artifacts, (one) => fromOlderArtifact(one, version)),
    ...rest,
  });
}

function toOlderState(state: JsonValue | undefined): JsonValue {
  const name = textOrNothing(state) ?? UNSPECIFIED;
  return name === UNSPECIFIED
    ? "unknown"
    : name.replace(/^TASK_STATE_/, "").toLowerCase().replaceAll("_", "-");
}

function fromOlderState(state: JsonValue | undefined): JsonValue {
  const name = textOrNothing(state) ?? "submitted";
  return name === "unknown" ? UNSPECIFIED : `TASK_STATE_${name.toUpperCase().replaceAll("-", "_")}`;
}

function toOlderParts(parts: JsonValue | undefined, version: OlderVersion): JsonValue[] {
  return asList(parts, "parts").map((part) => isObject(part) ? toOlderPart(part, version) : part);
}

function fromOlderParts(parts: JsonValue | undefined, version: OlderVersion): JsonValue[] {
  return asList(parts, "parts").map((part) => fromOlderPart(part, version));
}

function mapObjects(
  list: JsonValue | undefined,
  map: (item: JsonObject) => JsonValue,
): JsonValue[] | undefined {
  return mapItems(list, (item) => isObject(item) ? map(item) : item);
}

function mapItems(list: JsonValue | undefined, map: (item: JsonValue) => JsonValue): JsonValue[] | undefined {
  return list === undefined || list === null ? undefined : asList(list, "the list").map(map);
}
