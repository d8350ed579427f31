import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { JsonObject } from "../../../core/json.ts";
import { WebhookRecordSchema } from "../../../gen/agentanycast/store/v1/records_pb.ts";
import { fromTimestamp, toTimestamp } from "../../convert/time.ts";
import type { A2aVersion } from "../a2a_call.ts";

/** A webhook of a task. */
export interface Webhook {
  readonly taskId: string;
  readonly id: string;
  readonly url: string;
  readonly token: string;
  /** Scheme and credentials of the `Authorization` header; empty for none. */
  readonly authScheme: string;
  readonly authCredentials: string;
  readonly version: A2aVersion;
  readonly caller: string;
  /** The change of the task that was told last. */
  readonly toldGeneration: number;
  /** Why it is not told any more; empty while it is. */
  readonly deadReason: string;
  readonly deadAtMs: number;
}

/** A webhook as it lies in the store. */
export function encodeWebhook(webhook: Webhook): Uint8Array {
  const { url, token, authScheme, authCredentials, version, caller, deadReason } = webhook;
  return toBinary(
    WebhookRecordSchema,
    create(WebhookRecordSchema, {
      url,
      token,
      authScheme,
      authCredentials,
      version,
      caller,
      toldGeneration: BigInt(webhook.toldGeneration),
      deadReason,
      deadAt: toTimestamp(webhook.deadAtMs),
    }),
  );
}

/** A webhook from the store; undefined for bytes that are none. */
export function decodeWebhook(place: { taskId: string; id: string }, bytes: Uint8Array): Webhook | undefined {
  try {
    const record = fromBinary(WebhookRecordSchema, bytes);
    const { url, token, authScheme, authCredentials, caller, deadReason } = record;
    return {
      ...place,
      url,
      token,
      authScheme,
      authCredentials,
      version: record.version === "0.3" ? "0.3" : "1.0",
      caller,
      toldGeneration: Number(record.toldGeneration),
      deadReason,
      deadAtMs: fromTimestamp(record.deadAt),
    };
  } catch {
    return undefined; // whoever lists them goes on without it
  }
}

/** A webhook as JSON of A2A 1.0: a TaskPushNotificationConfig. */
export function toWebhookJson(webhook: Webhook): JsonObject {
  const { id, taskId, url, token, authScheme: scheme, authCredentials: credentials } = webhook;
  return {
    id,
    taskId,
    url,
    ...(token !== "" && { token }),
    ...(scheme !== "" && { authentication: { scheme, ...(credentials !== "" && { credentials }) } }),
  };
}
