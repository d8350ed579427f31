import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { JsonObject } from "../../../core/json.ts";
import type { Logger } from "../../../core/log.ts";
import { WebhookRecordSchema } from "../../../gen/agentanycast/store/v1/records_pb.ts";
import { type KvStore, webhookPrefix } from "../../../kv/mod.ts";
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

/** The webhooks in the store, of one task or of all. */
export async function* readWebhooks(
  kv: KvStore,
  { taskId, logger }: { taskId?: string; logger: Logger },
): AsyncGenerator<Webhook> {
  const onDamaged = () => logger.error("A webhook in the store is damaged; it is left out");
  for await (const { key, value } of kv.list(webhookPrefix(taskId), { onDamaged })) {
    const webhook = decodeWebhook({ taskId: String(key.at(-2)), id: String(key.at(-1)) }, value);
    if (webhook === undefined) onDamaged();
    else yield webhook;
  }
}

/** The webhooks that were given up, the last one first. */
export async function readDeadWebhooks(kv: KvStore, options: { logger: Logger }): Promise<Webhook[]> {
  const all = await Array.fromAsync(readWebhooks(kv, options));
  return all.filter(({ deadReason }) => deadReason !== "").sort((a, b) => b.deadAtMs - a.deadAtMs);
}

function decodeWebhook(place: { taskId: string; id: string }, bytes: Uint8Array): Webhook | undefined {
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
    return undefined;
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
