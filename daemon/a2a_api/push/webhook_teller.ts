import type { Engine, Task, TaskUpdate } from "../../../a2a/mod.ts";
import { CodedError, errorMessage } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import { toEvents } from "../task_events.ts";
import { toTaskJson } from "../task_json.ts";
import { toTaskV03 } from "../v03/v03_json.ts";
import type { WebhookCaller } from "./webhook_caller.ts";
import type { Webhook } from "./webhook_record.ts";

export interface WebhookTellerDeps {
  engine: Pick<Engine, "getTask" | "subscribe">;
  caller: WebhookCaller;
  logger: Logger;
  save: (webhook: Webhook) => Promise<void>;
}

/** Tells one webhook the changes of its task, in order, each at least once. */
export class WebhookTeller implements AsyncDisposable {
  readonly #deps: WebhookTellerDeps;
  readonly #stop = new AbortController();
  #webhook: Webhook;
  /** Resolves when there is nothing left to tell. */
  readonly done: Promise<void>;

  constructor(deps: WebhookTellerDeps, webhook: Webhook) {
    this.#deps = deps;
    this.#webhook = webhook;
    this.done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The webhook is not told any more"));
    await this.done;
  }

  async #run(): Promise<void> {
    const { logger } = this.#deps;
    const { taskId, url, toldGeneration } = this.#webhook;
    const { signal } = this.#stop;
    try {
      await this.#tellFrom(toldGeneration);
    } catch (error) {
      if (signal.aborted) return;
      // The daemon stops, or the task was removed and its webhooks with it.
      if (error instanceof CodedError && (error.code === "cancelled" || error.code === "not_found")) return;
      logger.warn("A webhook is given up", { task: taskId, origin: URL.parse(url)?.origin, error });
      const dead = { ...this.#webhook, deadReason: errorMessage(error), deadAtMs: Date.now() };
      await this.#deps.save(dead).catch((cause) => {
        logger.error("A webhook that was given up could not be noted", { task: taskId, error: cause });
      });
    }
  }

  async #tellFrom(afterGeneration: number): Promise<void> {
    const { engine } = this.#deps;
    const { taskId } = this.#webhook;
    const { signal } = this.#stop;
    try {
      for await (const update of engine.subscribe(taskId, { afterGeneration, signal })) {
        await this.#tell(update);
      }
    } catch (error) {
      if (!(error instanceof CodedError && error.code === "out_of_range")) throw error;
      // What happened in between is not kept any more: it is told how the task stands.
      const task = await engine.getTask(taskId);
      await this.#post({ task: toTaskJson(task) }, { generation: task.generation, index: 0 });
      await this.#told(task.generation);
      await this.#tellFrom(task.generation);
    }
  }

  async #tell(update: TaskUpdate): Promise<void> {
    const { generation } = update;
    const task = await this.#deps.engine.getTask(this.#webhook.taskId);
    let index = 0;
    for (const payload of this.#payloads(task, update)) {
      await this.#post(payload, { generation, index: index++ });
    }
    await this.#told(generation);
  }

  /** Version 0.3 tells the whole task, 1.0 what has changed. */
  #payloads(task: Task, update: TaskUpdate): unknown[] {
    if (this.#webhook.version === "0.3") return [toTaskV03(toTaskJson(task))];
    return toEvents(task, update).map(({ response }) => response);
  }

  async #post(payload: unknown, place: { generation: number; index: number }): Promise<void> {
    const { taskId, id } = this.#webhook;
    const messageId = [taskId, id, place.generation, place.index].join(".");
    await this.#deps.caller.post(this.#webhook, {
      messageId,
      body: JSON.stringify(payload),
      signal: this.#stop.signal,
    });
  }

  async #told(toldGeneration: number): Promise<void> {
    this.#webhook = { ...this.#webhook, toldGeneration };
    await this.#deps.save(this.#webhook);
  }
}
