import type { Engine, Task } from "../../../a2a/mod.ts";
import { callerOf, isTerminal } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import type { JsonObject } from "../../../core/json.ts";
import { KeyedLock } from "../../../core/keyed_lock.ts";
import type { Logger } from "../../../core/log.ts";
import type * as pb from "../../../gen/lf/a2a/v1/a2a_pb.ts";
import { type KvStore, webhookKey } from "../../../kv/mod.ts";
import type { A2aVersion } from "../a2a_call.ts";
import { a2aError } from "../a2a_error.ts";
import { invalid } from "../message_in.ts";
import type { WebhookCaller } from "./webhook_caller.ts";
import { encodeWebhook, readWebhooks, toWebhookJson, type Webhook } from "./webhook_record.ts";
import { WebhookTeller } from "./webhook_teller.ts";

/** Webhooks of one task. */
const MAX_OF_TASK = 32;
/** Webhooks that are being told. */
const MAX_ACTIVE = 5_000;
const MAX_TEXT = 4_096;
const DEFAULT_PAGE_SIZE = 50;

export interface PushConfigsDeps {
  kv: KvStore;
  engine: Pick<Engine, "getTask" | "subscribe">;
  caller: WebhookCaller;
  logger: Logger;
}

/**
 * The webhooks of tasks: kept in the store, and told every change of their task from the moment they were set, also after a
 * restart. Disposing it stops telling; it goes on with the next start.
 */
export class PushConfigs implements AsyncDisposable {
  readonly #deps: PushConfigsDeps;
  /** By place; each tells one webhook. */
  readonly #tellers = new Map<string, WebhookTeller>();
  /** By task: two that set the same webhook would both tell it. */
  readonly #changing = new KeyedLock();

  constructor(deps: PushConfigsDeps) {
    this.#deps = deps;
  }

  /** Goes on with what an earlier run left. */
  async start(): Promise<void> {
    for await (const webhook of this.#all()) {
      const task = await this.#taskOf(webhook);
      if (task === undefined) await this.#remove(webhook);
      else if (webhook.deadReason !== "") continue;
      else if (!isTerminal(task.status) || webhook.toldGeneration < task.generation) this.#tell(webhook);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#tellers.values()].map((teller) => teller[Symbol.asyncDispose]()));
  }

  /** @throws CodedError `invalid_argument` for a webhook that cannot be called. */
  check(config: pb.TaskPushNotificationConfig): void {
    const { url, id, token, authentication } = config;
    if (url === "") throw invalid("pushNotificationConfig.url", "is missing");
    const texts = {
      url,
      id,
      token,
      scheme: authentication?.scheme,
      credentials: authentication?.credentials,
    };
    for (const [name, text = ""] of Object.entries(texts)) {
      if (text.length > MAX_TEXT) {
        throw invalid(`pushNotificationConfig.${name}`, `is longer than ${MAX_TEXT} characters`);
      }
      if (name !== "url" && /[^\x20-\x7e]/.test(text)) {
        throw invalid(`pushNotificationConfig.${name}`, "must be printable ASCII");
      }
    }
    if (authentication !== undefined && authentication.scheme === "") {
      throw invalid("pushNotificationConfig.authentication.scheme", "is missing");
    }
    this.#deps.caller.checkUrl(url);
  }

  /** Sets a webhook of the task, anew when there is one of that id. @throws CodedError `invalid_argument`, `resource_exhausted`. */
  async set(task: Task, config: pb.TaskPushNotificationConfig, version: A2aVersion): Promise<JsonObject> {
    this.check(config);
    return await this.#changing.run(task.taskId, () => this.#set(task, config, version));
  }

  async #set(task: Task, config: pb.TaskPushNotificationConfig, version: A2aVersion): Promise<JsonObject> {
    const { taskId, generation } = task;
    const id = config.id || crypto.randomUUID();
    const earlier = await this.#of(taskId);
    if (earlier.length >= MAX_OF_TASK && !earlier.some((one) => one.id === id)) {
      throw new CodedError(
        "resource_exhausted",
        `Task ${taskId} has ${MAX_OF_TASK} webhooks: delete one first`,
      );
    }
    const webhook: Webhook = {
      taskId,
      id,
      url: config.url,
      token: config.token,
      authScheme: config.authentication?.scheme ?? "",
      authCredentials: config.authentication?.credentials ?? "",
      version,
      caller: callerOf(task) ?? "",
      toldGeneration: generation,
      deadReason: "",
      deadAtMs: 0,
    };
    const teller = this.#tellers.get(placeOf(webhook));
    await teller?.[Symbol.asyncDispose]();
    if (this.#tellers.size >= MAX_ACTIVE) {
      throw new CodedError("resource_exhausted", `${MAX_ACTIVE} webhooks are being told: try again later`);
    }
    await this.#save(webhook);
    if (!isTerminal(task.status)) this.#tell(webhook);
    return toWebhookJson(webhook);
  }

  /** @throws CodedError TASK_NOT_FOUND. */
  async get(taskId: string, id: string): Promise<JsonObject> {
    const webhooks = await this.#of(taskId);
    // Before A2A 1.0 the id could be left out: the first one is meant.
    const found = id === "" ? webhooks[0] : webhooks.find((one) => one.id === id);
    if (found !== undefined) return toWebhookJson(found);
    throw a2aError("TASK_NOT_FOUND", `Task ${taskId} has no push notification config ${id}`);
  }

  async list(
    { taskId, pageSize, pageToken }: pb.ListTaskPushNotificationConfigsRequest,
  ): Promise<JsonObject> {
    if (pageSize < 0) throw invalid("pageSize", "must not be negative");
    const webhooks = await this.#of(taskId);
    const from = pageToken === "" ? 0 : webhooks.findIndex(({ id }) => id > pageToken);
    const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
    const page = from === -1 ? [] : webhooks.slice(from, from + size);
    const hasMore = from !== -1 && from + page.length < webhooks.length;
    return { configs: page.map(toWebhookJson), nextPageToken: hasMore ? page.at(-1)?.id ?? "" : "" };
  }

  /** Takes a webhook away; one that is not there is none the less. */
  async delete(taskId: string, id: string): Promise<void> {
    await this.#changing.run(taskId, async () => {
      await this.#tellers.get(placeOf({ taskId, id }))?.[Symbol.asyncDispose]();
      await this.#remove({ taskId, id });
    });
  }

  #tell(webhook: Webhook): void {
    const { engine, caller, logger } = this.#deps;
    const place = placeOf(webhook);
    if (this.#tellers.size >= MAX_ACTIVE) {
      return logger.warn("Too many webhooks: one waits for the next start");
    }
    const teller = new WebhookTeller(
      { engine, caller, logger, save: (changed) => this.#save(changed) },
      webhook,
    );
    this.#tellers.set(place, teller);
    teller.done.finally(() => {
      if (this.#tellers.get(place) === teller) this.#tellers.delete(place);
    });
  }

  async #save(webhook: Webhook): Promise<void> {
    const { taskId, id } = webhook;
    await this.#deps.kv.commit([{ op: "set", key: webhookKey(taskId, id), value: encodeWebhook(webhook) }]);
  }

  async #remove({ taskId, id }: Pick<Webhook, "taskId" | "id">): Promise<void> {
    await this.#deps.kv.commit([{ op: "delete", key: webhookKey(taskId, id) }]);
  }

  async #taskOf({ taskId }: Webhook): Promise<Task | undefined> {
    return await this.#deps.engine.getTask(taskId).catch((error) => {
      if (error instanceof CodedError && error.code === "not_found") return undefined;
      throw error;
    });
  }

  async #of(taskId: string): Promise<Webhook[]> {
    return await Array.fromAsync(this.#all(taskId));
  }

  #all(taskId?: string): AsyncGenerator<Webhook> {
    return readWebhooks(this.#deps.kv, {
      ...(taskId !== undefined && { taskId }),
      logger: this.#deps.logger,
    });
  }
}

function placeOf({ taskId, id }: Pick<Webhook, "taskId" | "id">): string {
  return JSON.stringify([taskId, id]);
}
