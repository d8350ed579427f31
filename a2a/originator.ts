import type { Clock } from "../core/clock.ts";
import { NO_TRACE } from "../core/tracer.ts";
import { CodedError } from "../core/errors.ts";
import { orderedId } from "../core/ordered_id.ts";
import type { Delivery, OutboxPlace } from "./delivery.ts";
import type { EnvelopeBody, Message, Task, TaskRoute, TaskStatus, TraceContext } from "./model.ts";
import type { AdmitSend, EnvelopeTransport, StoredTask } from "./ports.ts";
import { isInterrupted, isTerminal } from "./state_machine.ts";
import type { Router } from "./router.ts";
import type { TaskLedger } from "./task_ledger.ts";
import { hasMessage, newRecord, withMessageId } from "./task_record.ts";
import { checkId, checkMessage, checkRoute } from "./validation.ts";

/** A new task for another agent, or a further message of one that waits for input. */
export interface SendTask {
  /** Who gets it; empty for whoever offers the skill of `route`. */
  readonly peerId: string;
  readonly route?: Pick<TaskRoute, "skillId" | "tags"> | undefined;
  readonly message: Message;
  readonly targetSkillId?: string | undefined;
  readonly contextId?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * Idempotency key: a second call with the id of an earlier task to the same peer answers that task. When that waits for
   * input and the message has an id that it does not know, it gets the message and goes on.
   */
  readonly taskId?: string | undefined;
  /** When the task is to be over, in milliseconds since the Unix epoch; 0 or undefined for no deadline. */
  readonly deadlineMs?: number | undefined;
  readonly trace?: TraceContext | undefined;
  /** On whose behalf it is sent, such as `http:alice`; left out for programs of this node ({@link LOCAL_CALLER}). */
  readonly caller?: string | undefined;
}

/** The programs of this node's own user. */
export const LOCAL_CALLER = "grpc:local";

export interface OriginatorDeps {
  ledger: TaskLedger;
  delivery: Delivery;
  transport: EnvelopeTransport;
  clock: Clock;
  router: Pick<Router, "checkOffered">;
  admitSend: AdmitSend;
}

/** What the sending side does with its tasks. Once a task may have arrived, only its assignee decides how it ends. */
export class Originator {
  readonly #deps: OriginatorDeps;

  constructor(deps: OriginatorDeps) {
    this.#deps = deps;
  }

  /** See `Engine.sendTask`. */
  async send(request: SendTask): Promise<Task> {
    const { ledger, transport } = this.#deps;
    const { peerId, message } = request;
    if (request.route !== undefined) checkRoute(request.route);
    if (peerId === transport.peerId) {
      throw new CodedError("invalid_argument", "Cannot send a task to this node itself: name another peer");
    }
    const taskId = checkId("task id", request.taskId || orderedId());
    checkId("context id", request.contextId || taskId);
    checkMessage(message);
    return await ledger.run(taskId, async () => {
      const known = ledger.cached(taskId);
      if (known !== undefined) return await this.#continue(known, request);
      try {
        const created = await this.#create(taskId, request);
        if (created !== undefined) return created.record.task;
      } catch (error) {
        // A repetition makes nothing new that could be refused.
        const earlier = request.taskId ? await ledger.load(taskId) : undefined;
        if (earlier === undefined) throw error;
      }
      return await this.#continue(await ledger.get(taskId), request);
    });
  }

  /** See `Engine.cancelTask`. */
  async cancel(stored: StoredTask): Promise<Task> {
    const { task } = stored.record;
    if (isTerminal(task.status)) {
      throw new CodedError("failed_precondition", `Cannot cancel task ${task.taskId}: it is ${task.status}`);
    }
    return await this.callOff(stored, { status: "canceled", reason: "" });
  }

  /** Ends a task that its assignee cannot have; else asks its assignee to end it. The task is locked. */
  async callOff(stored: StoredTask, end: { status: "canceled" | "failed"; reason: string }): Promise<Task> {
    const { ledger, delivery } = this.#deps;
    const { task, sendSequence } = stored.record;
    const { status, reason } = end;
    if (task.peerId === "") return await this.end(stored, end);
    const unsent = task.status === "submitted" ? await delivery.withdraw(task, sendSequence) : undefined;
    if (unsent !== undefined) {
      try {
        return await this.end(stored, { status, reason }, { withdrawn: [unsent] });
      } catch (error) {
        delivery.release(task.peerId, sendSequence);
        throw error;
      }
    }
    if (task.cancelRequested) return task;
    const envelopes: EnvelopeBody[] = [{ type: "cancel", taskId: task.taskId, status, reason }];
    // Once the assignee has said something it has the task: nothing can be overtaken.
    const place: OutboxPlace = task.status === "submitted"
      ? await delivery.placeBehind(task, sendSequence)
      : { lane: "turns" };
    return (await ledger.amend(stored, { cancelRequested: true, envelopes, place })).record.task;
  }

  /** Ends a task on this side. The task is locked. */
  async end(
    stored: StoredTask,
    { status, reason }: { status: TaskStatus; reason: string },
    options: Parameters<TaskLedger["change"]>[2] = {},
  ): Promise<Task> {
    const ended = await this.#deps.ledger.change(stored, { status, errorMessage: reason }, options);
    return ended.record.task;
  }

  async #create(taskId: string, request: SendTask): Promise<StoredTask | undefined> {
    const { sent } = this.#deps.ledger;
    const { caller } = request;
    // Counted before it is judged: many that come at once see each other.
    const isNew = caller !== undefined && sent.add(caller, taskId);
    let created: StoredTask | undefined;
    try {
      created = await this.#write(taskId, request);
    } finally {
      if (isNew && created === undefined) sent.remove(caller, taskId);
    }
    return created;
  }

  async #write(taskId: string, request: SendTask): Promise<StoredTask | undefined> {
    const { ledger, clock } = this.#deps;
    const { peerId, metadata = {}, deadlineMs = 0, trace = NO_TRACE, caller } = request;
    const route = request.route && { ...request.route, refusals: [] };
    const targetSkillId = route?.skillId ?? request.targetSkillId ?? "";
    if (deadlineMs !== 0 && deadlineMs <= clock.now()) {
      throw new CodedError("deadline_exceeded", "Cannot send the task: its deadline is over already");
    }
    await this.#admit(taskId, { ...request, targetSkillId });
    const contextId = request.contextId || crypto.randomUUID();
    if (route !== undefined) await this.#deps.router.checkOffered({ ...route, contextId });
    const message = withMessageId(request.message) ?? request.message;
    const record = newRecord({
      taskId,
      contextId,
      direction: "outbound",
      peerId,
      status: "submitted",
      targetSkillId,
      messages: [message],
      artifacts: [],
      metadata,
      errorMessage: "",
      createdAtMs: clock.now(),
      deadlineMs,
      trace,
      ...(caller !== undefined && { caller }),
    }, { awaitsAgent: false, sendSequence: 0, envelopeIds: [], route });
    return await ledger.create(record, route === undefined ? [toSendTask(record.task, message)] : []);
  }

  /** @throws CodedError `permission_denied`, `resource_exhausted`. */
  async #admit(
    taskId: string,
    { peerId, caller = LOCAL_CALLER, targetSkillId = "" }: SendTask,
  ): Promise<void> {
    const { admitSend, ledger: { sent } } = this.#deps;
    const skillId = targetSkillId;
    const openTasks = Math.max(0, sent.countOf(caller) - 1);
    const refusal = await admitSend({ caller, peerId, taskId, skillId, openTasks, isChoice: false });
    if (refusal === undefined) return;
    throw new CodedError(refusal.code, `Cannot send the task to ${peerId || skillId}: ${refusal.reason}`);
  }

  /** A task that is there already: the same request again, or the answer it waits for. */
  async #continue(stored: StoredTask, { peerId, route, message }: SendTask): Promise<Task> {
    const { task } = stored.record;
    const isSame = route === undefined
      ? task.peerId === peerId
      : stored.record.route?.skillId === route.skillId;
    if (task.direction !== "outbound" || !isSame) {
      throw new CodedError(
        "already_exists",
        `Task id ${task.taskId} belongs to another task: leave it out to get a new one`,
      );
    }
    const isRepetition = message.messageId === "" || hasMessage(task, message.messageId);
    if (isRepetition) return task;
    if (!isInterrupted(task.status)) {
      throw new CodedError(
        "failed_precondition",
        `Cannot add a message to task ${task.taskId}: it is ${task.status}, not waiting for input`,
      );
    }
    const change = { status: "working", message } as const;
    const changed = await this.#deps.ledger.change(stored, change, {
      envelopes: [toSendTask(task, message)],
    });
    return changed.record.task;
  }
}

/** The envelope that takes a message of the task to its assignee. */
export function toSendTask(task: Task, message: Message): EnvelopeBody {
  const { taskId, contextId, targetSkillId, metadata, deadlineMs } = task;
  return { type: "send_task", taskId, contextId, message, targetSkillId, metadata, deadlineMs };
}
