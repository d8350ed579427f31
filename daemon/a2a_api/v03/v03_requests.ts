import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";

/** Without members that are missing. */
function present(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function mapList(value: JsonValue | undefined, map: (item: JsonValue) => JsonValue): JsonValue | undefined {
  return Array.isArray(value) ? value.map(map) : value;
}

const ROLES: Readonly<Record<string, string>> = { user: "ROLE_USER", agent: "ROLE_AGENT" };

/** A body of `message:send` of the REST binding: what JSON of Protocol Buffers leaves out is false. */
export function fromRestSendV03(body: JsonObject): JsonObject {
  const { configuration } = body;
  if (!isJsonObject(configuration)) return fromSendParamsV03(body);
  return fromSendParamsV03({
    ...body,
    configuration: { ...configuration, blocking: configuration.blocking === true },
  });
}

/** Parameters of `message/send` and `message/stream` of 0.3 as those of 1.0. What is malformed stays so, and is refused later. */
export function fromSendParamsV03(params: JsonObject): JsonObject {
  const { message, configuration, metadata } = params;
  return present({
    message: isJsonObject(message) ? fromMessageV03(message) : message,
    configuration: isJsonObject(configuration) ? fromConfigurationV03(configuration) : undefined,
    metadata,
  });
}

function fromMessageV03(message: JsonObject): JsonObject {
  const { role, parts, content, messageId, contextId, taskId, metadata, extensions, referenceTaskIds } =
    message;
  return present({
    role: ROLES[String(role)] ?? role,
    // The REST binding calls them content.
    parts: mapList(parts ?? content, fromPartV03),
    ...{ messageId, contextId, taskId, metadata, extensions, referenceTaskIds },
  });
}

function fromPartV03(part: JsonValue): JsonValue {
  if (!isJsonObject(part)) return part;
  const { kind, type, text, file, metadata } = part;
  if (kind !== undefined && !["text", "file", "data"].includes(String(kind))) return present({ metadata });
  if (text !== undefined) return present({ text, metadata });
  if (isJsonObject(file)) return present({ ...fromFileV03(file), metadata });
  if (part.data !== undefined) return fromDataV03(part, metadata);
  // The dialect before 0.3 has files beside text.
  const { url, raw, filename, mediaType } = part;
  return present({ url, raw, filename, mediaType, metadata, ...(type === "text" && { text: "" }) });
}

function fromFileV03(file: JsonObject): JsonObject {
  const { bytes, uri, mimeType, name, fileWithBytes, fileWithUri } = file;
  return present({
    raw: bytes ?? fileWithBytes,
    url: uri ?? fileWithUri,
    mediaType: mimeType ?? file.mediaType,
    filename: name,
  });
}

function fromDataV03({ kind, data }: JsonObject, metadata: JsonValue | undefined): JsonObject {
  // The REST binding has the data of a data part one level down.
  const value = kind === undefined && isJsonObject(data) && Object.keys(data).join() === "data"
    ? data.data
    : data;
  if (!isJsonObject(metadata) || metadata.data_part_compat !== true || !isJsonObject(value)) {
    return present({ data: value, metadata });
  }
  const { data_part_compat: _, ...rest } = metadata;
  return present({ data: value.value, ...(Object.keys(rest).length > 0 && { metadata: rest }) });
}

function fromConfigurationV03(configuration: JsonObject): JsonObject {
  const { acceptedOutputModes, historyLength, blocking, pushNotificationConfig, pushNotification } =
    configuration;
  const webhook = pushNotificationConfig ?? pushNotification;
  return present({
    acceptedOutputModes,
    historyLength,
    returnImmediately: blocking === false ? true : undefined,
    taskPushNotificationConfig: isJsonObject(webhook) ? fromPushConfigV03(webhook) : undefined,
  });
}

function fromPushConfigV03({ id, url, token, authentication }: JsonObject): JsonObject {
  if (!isJsonObject(authentication)) return present({ id, url, token });
  const { schemes, credentials } = authentication;
  const scheme = Array.isArray(schemes) ? schemes[0] as JsonValue | undefined : undefined;
  return present({ id, url, token, authentication: present({ scheme, credentials }) });
}

/** Parameters that set a webhook in 0.3 as those of 1.0. */
export function fromSetPushConfigV03(params: JsonObject): JsonObject {
  const { taskId, pushNotificationConfig: webhook } = params;
  return present({ ...(isJsonObject(webhook) && fromPushConfigV03(webhook)), taskId });
}

/** Parameters that name a webhook in 0.3 as those of 1.0. */
export function fromPushConfigIdV03({ id, pushNotificationConfigId }: JsonObject): JsonObject {
  return present({ taskId: id, id: pushNotificationConfigId });
}

/** Parameters of `tasks/list` of 0.3 as those of 1.0. */
export function fromListParamsV03(params: JsonObject): JsonObject {
  const { contextId, status, pageSize, pageToken, historyLength, includeArtifacts, lastUpdatedAfter } =
    params;
  const isName = typeof status === "string" && status !== "";
  return present({
    ...{ contextId, pageSize, pageToken, historyLength, includeArtifacts },
    status: isName ? `TASK_STATE_${status.toUpperCase().replaceAll("-", "_")}` : status,
    statusTimestampAfter: typeof lastUpdatedAfter === "number"
      ? new Date(lastUpdatedAfter).toISOString()
      : lastUpdatedAfter,
  });
}
