import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import type { A2aCall } from "../a2a_api/a2a_call.ts";
import { invalid } from "../a2a_api/message_in.ts";
import { read } from "../a2a_api/read_request.ts";
import { toStateV03 } from "../a2a_api/v03/v03_json.ts";
import { fromSendParamsV03 } from "../a2a_api/v03/v03_requests.ts";
import type { BridgeDeps } from "./bridge_deps.ts";

/**
 * `tasks/send`, the dialect of the existing network's bridge. It has no way to ask for a task later, so that the result is
 * waited for. `params.id` makes repetitions one task.
 */
export async function sendLegacyTask(
  deps: BridgeDeps,
  params: JsonObject,
  call: A2aCall,
): Promise<JsonValue> {
  const { message, id, target_skill_id: skillId, metadata } = params;
  if (!isJsonObject(message)) throw invalid("message", "is missing");
  const messageId = typeof id === "string" && id !== "" ? id : crypto.randomUUID();
  const request = fromSendParamsV03({ message: { ...message, messageId, role: "user" }, metadata });
  const target = await targetOf(deps, skillId, call);
  const { task } = await deps.operations.sendMessage(read.sendMessage(request), {
    ...call,
    target,
  });
  return toLegacyTask(task as JsonObject);
}

/** A skill that this node's agent has not got is looked for in the network. */
async function targetOf({ cards }: BridgeDeps, skillId: JsonValue | undefined, { target }: A2aCall) {
  if (target.kind !== "self" || typeof skillId !== "string" || skillId === "") return target;
  const isOwn = (await cards.cardOf(target))?.skills.some(({ id }) => id === skillId) ?? false;
  return isOwn ? target : { kind: "skill", skillId } as const;
}

function toLegacyTask({ id, status, history, artifacts }: JsonObject): JsonObject {
  const { state, message } = status as JsonObject;
  const messages = [...list(history), ...isJsonObject(message) ? [message] : []].map(toLegacyMessage);
  const results = list(artifacts).map(({ artifactId, name, parts }) => ({
    artifact_id: artifactId,
    name: name ?? "",
    parts: list(parts).map(toLegacyPart),
  }));
  return {
    id,
    status: toStateV03(state),
    ...(messages.length > 0 && { messages }),
    ...(results.length > 0 && { artifacts: results }),
  };
}

function toLegacyMessage({ role, parts }: JsonObject): JsonObject {
  return { role: role === "ROLE_USER" ? "user" : "agent", parts: list(parts).map(toLegacyPart) };
}

function toLegacyPart({ text, url, raw, data, filename, mediaType }: JsonObject): JsonObject {
  const named = {
    ...(filename !== undefined && { filename }),
    ...(mediaType !== undefined && { media_type: mediaType }),
  };
  if (text !== undefined) return { type: "text", text };
  if (url !== undefined) return { type: "url", url, ...named };
  if (raw !== undefined) return { type: "raw", data: raw, ...named };
  return { type: "data", data: data ?? null };
}

function list(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value as JsonObject[] : [];
}
