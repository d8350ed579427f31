import { Buffer } from "node:buffer";
import type { JsonObject, JsonValue } from "../model.ts";
import {
  asList,
  isObject,
  marked,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  textOrNothing,
  unmarked,
} from "./json.ts";

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
/** Members that the older forms have a use of their own for. */
const FORM_WORDS = ["kind", "type", "file", "context_id", "message_id", "artifact_id"];
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

const UNSPECIFIED = "TASK_STATE_UNSPECIFIED";

/** A part of 1.0 in an older form. */
export function toOlderPart(part: JsonObject, version: OlderVersion): JsonObject {
  const { text, raw, url, data, metadata, filename, mediaType, ...more } = part;
  const rest = marked(more, FORM_WORDS);
  const kind = version === "0.3" ? "kind" : "type";
  const free = isObject(metadata) ? metadata : {};
  const facts = (more: JsonObject) => nonEmpty({ ...marked(free, reservedIn(version)), ...more });
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
  return present({ [kind]: "file", file, metadata: nonEmpty(free), ...rest });
}

function reservedIn(version: OlderVersion): readonly string[] {
  return [MEDIA_TYPE[version], FILENAME, WRAPPED, IS_DATA];
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
  const { kind: _kind, type: _type, text, file, data, metadata, ...more } = part;
  const rest = unmarked(more, FORM_WORDS);
  const facts = isObject(metadata) ? metadata : {};
  if (isObject(file)) {
    const { uri, url, bytes, name, mimeType, ...more } = file;
    const content = { url: uri ?? url, raw: bytes, filename: name, mediaType: mimeType };
    return present({ ...content, metadata: nonEmpty(facts), ...more, ...rest });
  }
  const named = {
    mediaType: stringOrNothing(facts[MEDIA_TYPE[version]]),
    filename: stringOrNothing(facts[FILENAME]),
  };
  const free = others(facts, [
    ...named.mediaType === undefined ? [] : [MEDIA_TYPE[version]],
    ...named.filename === undefined ? [] : [FILENAME],
  ]);
  const as = (content: Readonly<Record<string, unknown>>, used?: string) => {
    const own = unmarked(used === undefined ? free : others(free, [used]), reservedIn(version));
    return present({ ...content, metadata: nonEmpty(own), ...named, ...rest });
  };
  if (text !== undefined || !isObject(data)) return as({ text, data });
  if (free[WRAPPED] === true) return as({ data: data.value }, WRAPPED);
  const hex = version === "legacy" ? bytesOf(data) : undefined;
  if (hex === undefined) return as({ data });
  return free[IS_DATA] === "true"
    ? as({ data }, IS_DATA)
    : as({ raw: Buffer.from(hex, "hex").toString("base64") });
}

/** A message of 1.0 in an older form. */
export function toOlderMessage(message: JsonObject, version: OlderVersion): JsonObject {
  const { role, parts, ...more } = message;
  return present({
    kind: version === "0.3" ? "message" : undefined,
    role: role === "ROLE_AGENT" ? "agent" : role === "ROLE_USER" ? "user" : role,
    parts: toOlderParts(parts, version),
    ...marked(more, FORM_WORDS),
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
    ...unmarked(rest, FORM_WORDS),
  });
}

/** An artifact of 1.0 in an older form. */
export function toOlderArtifact(artifact: JsonObject, version: OlderVersion): JsonObject {
  return { ...marked(artifact, FORM_WORDS), parts: toOlderParts(artifact.parts, version) };
}

/** An artifact of an older form in that of 1.0. */
export function fromOlderArtifact(artifact: JsonValue, version: OlderVersion): JsonValue {
  if (!isObject(artifact)) return artifact;
  const { artifactId, artifact_id, parts, ...rest } = artifact;
  return present({
    artifactId: artifactId ?? artifact_id,
    parts: fromOlderParts(parts, version),
    ...unmarked(rest, FORM_WORDS),
  });
}

/** A task of 1.0 in an older form. */
export function toOlderTask(task: JsonObject, version: OlderVersion): JsonObject {
  const { status, history, artifacts, ...rest } = task;
  const { state, message, ...more } = isObject(status) ? status : {};
  return present({
    kind: version === "0.3" ? "task" : undefined,
    ...marked(rest, FORM_WORDS),
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
    ...unmarked(rest, FORM_WORDS),
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
