import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";

/** States whose name differs in the REST binding of 0.3. */
const STATES: Readonly<Record<string, string>> = { TASK_STATE_CANCELED: "TASK_STATE_CANCELLED" };
/** Members that hold data of callers, whose inside is nobody's business. */
const OPAQUE = new Set(["metadata", "params", "header"]);

/** JSON of 1.0 as the REST binding of 0.3 has it: parts of a message are its content, files and data are nested. */
export function toRestV03(value: JsonValue | undefined, isFinal = false): JsonObject {
  const mapped = map(value ?? {});
  if (!isJsonObject(mapped)) return {};
  const { statusUpdate } = mapped;
  if (!isJsonObject(statusUpdate)) return mapped;
  return { ...mapped, statusUpdate: { ...statusUpdate, ...(isFinal && { final: true }) } };
}

function map(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item) => map(item as JsonValue));
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).flatMap(([key, member]): [string, JsonValue][] => {
    if (member === undefined) return [];
    if (OPAQUE.has(key)) return [[key, member]];
    if (key === "state" && typeof member === "string") return [[key, STATES[member] ?? member]];
    if (key !== "parts" || !Array.isArray(member)) return [[key, map(member)]];
    const parts = member.map((part) => isJsonObject(part) ? toPart(part) : part);
    return [["messageId" in value ? "content" : "parts", parts]];
  });
  return Object.fromEntries(members);
}

function toPart({ text, raw, url, data, metadata, filename, mediaType }: JsonObject): JsonObject {
  const facts = metadata === undefined ? {} : { metadata };
  if (text !== undefined) return { text, ...facts };
  if (raw !== undefined || url !== undefined) {
    return {
      file: {
        ...(raw === undefined ? { fileWithUri: url } : { fileWithBytes: raw }),
        ...(mediaType !== undefined && { mimeType: mediaType }),
        ...(filename !== undefined && { name: filename }),
      },
      ...facts,
    };
  }
  return { data: { data: isJsonObject(data) ? data : { value: data ?? null } }, ...facts };
}

/** A webhook of 1.0 as the REST binding of 0.3 has it: a named resource. */
export function toRestPushConfigV03({ taskId, id, url, token, authentication }: JsonObject): JsonObject {
  const { scheme, credentials } = isJsonObject(authentication) ? authentication : {};
  return {
    name: `tasks/${taskId}/pushNotificationConfigs/${id}`,
    pushNotificationConfig: {
      id,
      url,
      ...(token !== undefined && { token }),
      ...(scheme !== undefined &&
        { authentication: { schemes: [scheme], ...(credentials !== undefined && { credentials }) } }),
    },
  };
}
