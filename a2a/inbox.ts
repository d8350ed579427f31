import type { Clock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { KeyedLock } from "../core/keyed_lock.ts";
import type { Logger } from "../core/log.ts";
import type { Assignee } from "./assignee.ts";
import {
  type Change,
  type ChangeBody,
  changeOf,
  problemOf,
  reasonOf,
  refusalOf,
  reportOf,
  type SendTaskBody,
} from "./changes.ts";
import type { Delivery } from "./delivery.ts";
import type { Artifact, Envelope, EnvelopeBody, Task, TaskRecord } from "./model.ts";
import type { Offers } from "./offers.ts";
import type { AdmitTask, Answer, EnvelopeTransport, Refusal, StoredTask, TaskStore } from "./ports.ts";
import type { Questions } from "./questions.ts";
import { canTransition, isInterrupted, isTerminal } from "./state_machine.ts";
import type { Router } from "./router.ts";
import type { TaskLedger } from "./task_ledger.ts";
import {
  awaitsAnswer,
  DEADLINE_REASON,
  hasMessage,
  isRepetition,
  isUntouched,
  newRecord,
  withMessageId,
} from "./task_record.ts";
import { checkGrowth, isWornOut, sizeOf } from "./task_size.ts";
import { checkDeadline, checkId, isId } from "./validation.ts";

export interface InboxDeps {
  ledger: TaskLedger;
  assignee: Assignee;
  offers: Offers;
  delivery: Delivery;
  questions: Questions;
  router: Pick<Router, "moveOn">;
  transport: Pick<EnvelopeTransport, "framingOf">;
  store: Pick<TaskStore, "wasRemoved">;
  clock: Clock;
  logger: Logger;
  admit: AdmitTask;
  /** Results with what was streamed of them in place. */
  resolve: (taskId: string, artifacts: readonly Artifact[]) => Promise<readonly Artifact[]>;
  /** Answers a question; its loss is mended by the next one. */
  tell: (peerId: string, body: EnvelopeBody) => Promise<void>;
  /** Somebody waits for this answer. */
  onTaskResponse: (taskId: string) => void;
}

/** Why an envelope is refused, or undefined when it was taken. */
type Verdict = string | Refusal | undefined;

/** Takes the envelopes of other engines: whoever sends one may only do what its side of the task allows. */
export class Inbox {
  readonly #deps: InboxDeps;
  /** One question of a peer is answered at a time: a task may be large. */
  readonly #answering = new KeyedLock();

  constructor(deps: InboxDeps) {
    this.#deps = deps;
  }

  /** See `Engine.receive`. */
  async receive(peerId: string, envelope: Envelope): Promise<Answer> {
    const { logger } = this.#deps;
    const { body } = envelope;
    const facts = { peer: peerId, envelope: body.type, task: body.taskId };
    try {
      const refusal = problemOf(() => checkId("task id", body.taskId)) ?? await this.#judge(peerId, envelope);
      if (refusal === undefined) return { outcome: "taken" };
      const why = typeof refusal === "string" ? { reason: refusal } : refusal;
      logger.warn("Envelope refused", { ...facts, ...why });
      return { outcome: "refused", ...why };
    } catch (error) {
      if (error instanceof CodedError && error.code === "resource_exhausted") {
        logger.debug("Envelope not taken now; its sender will try again", { ...facts, error });
        return { outcome: "busy", reason: error.message };
      }
      logger.error("Envelope not taken; its sender will try again", { ...facts, error });
      return { outcome: "busy", reason: "it could not be stored" };
    }
  }

  async #judge(peerId: string, envelope: Envelope): Promise<Verdict> {
    const { ledger } = this.#deps;
    const { body } = envelope;
    switch (body.type) {
      case "send_task":
        return refusalOf(body) ?? problemOf(() => checkDeadline(body.deadlineMs)) ??
          await ledger.run(body.taskId, () => this.#takeTask(peerId, envelope, body));
      case "cancel":
      case "status_update":
      case "complete":
      case "fail":
        return await ledger.run(body.taskId, () => this.#takeChange(peerId, envelope, body));
      case "get_task":
        return await this.#answer(peerId, body.taskId);
      case "get_task_response":
        return await this.#takeResponse(peerId, body);
      default:
        return body satisfies never;
    }
  }

  async #takeTask(peerId: string, envelope: Envelope, body: SendTaskBody): Promise<Verdict> {
    const { ledger, store, offers } = this.#deps;
    const { taskId } = body;
    let known = ledger.cached(taskId) ?? (offers.has(taskId) ? await ledger.load(taskId) : undefined);
    if (known === undefined) {
      if (await store.wasRemoved(taskId)) return undefined;
      const outcome = await this.#create(peerId, envelope, body);
      if (outcome !== "known") return outcome === "created" ? undefined : outcome.refusal;
      known = await ledger.load(taskId);
      if (known === undefined) throw new CodedError("aborted", "the task changed meanwhile");
    }
    const { task } = known.record;
    if (task.direction !== "inbound" || task.peerId !== peerId) return "the task id belongs to another task";
    return await this.#takeMessage(known, envelope, body);
  }

  #admit(peerId: string, body: SendTaskBody, { isNew }: { isNew: boolean }): ReturnType<AdmitTask> {
    const { admit, offers } = this.#deps;
    const { taskId, targetSkillId: skillId } = body;
    return admit({ peerId, taskId, skillId, isNew, openTasks: offers.countOf(peerId) - 1 });
  }

  /** Writes a new task that is admitted. @throws CodedError `resource_exhausted`. */
  async #create(
    peerId: string,
    envelope: Envelope,
    body: SendTaskBody,
  ): Promise<"created" | "known" | { refusal: Refusal }> {
    const { ledger, offers } = this.#deps;
    const { taskId } = body;
    const isOpen = offers.has(taskId);
    const record = this.#toRecord(peerId, envelope, body);
    // Counted before it is judged: many that come at once see each other.
    if (!isOpen) offers.reserve(record.task, sizeOf(record.task));
    let created: StoredTask | undefined;
    try {
      const refusal = isOpen ? undefined : await this.#admit(peerId, body, { isNew: true });
      // One that was taken once is not refused when it comes again.
      if (refusal !== undefined && await ledger.load(taskId) === undefined) return { refusal };
      created = await ledger.create(record, this.#reportOfLate(record));
    } finally {
      if (created === undefined && !isOpen) offers.giveUp(taskId, peerId);
    }
    return created === undefined ? "known" : "created";
  }

  /** A message for a task that is there: a repetition, or what the agent has asked for. */
  async #takeMessage(stored: StoredTask, envelope: Envelope, body: SendTaskBody): Promise<Verdict> {
    const { task, envelopeIds } = stored.record;
    const message = withMessageId(body.message);
    if (message === undefined || isTerminal(task.status)) return undefined;
    if (envelopeIds.includes(envelope.envelopeId) || hasMessage(task, message.messageId)) return undefined;
    const isAnswer = isInterrupted(task.status);
    if (!isAnswer && body.message?.messageId === "") return undefined;
    if (!awaitsAnswer(stored.record)) return "the task does not wait for a message";
    const refusal = await this.#admit(task.peerId, body, { isNew: false });
    if (refusal !== undefined) return refusal;
    const { ledger, assignee } = this.#deps;
    const envelopeId = rememberable(envelope);
    const change = {
      status: isAnswer ? "working" : task.status,
      message: { ...message, role: "user" as const },
    };
    try {
      checkGrowth(stored.record, change);
      await ledger.change(stored, change, {
        envelopeId,
        ...(isAnswer && { awaitsAgent: true }),
      });
    } catch (error) {
      if (!(error instanceof CodedError && error.code === "resource_exhausted")) throw error;
      const errorMessage = `Its messages are more than a task can keep: ${error.message}`;
      await assignee.apply(stored, { status: "failed", errorMessage }, { envelopeId });
    }
    return undefined;
  }

  /** A task that comes when its time is over ends with the step that makes it; its sender is told. */
  #reportOfLate({ task }: TaskRecord): EnvelopeBody[] {
    const { status, errorMessage, peerId } = task;
    if (status !== "failed") return [];
    return reportOf(
      { ...task, status: "submitted" },
      { status, errorMessage },
      this.#deps.transport.framingOf(peerId),
    );
  }

  #toRecord(peerId: string, envelope: Envelope, body: SendTaskBody): TaskRecord {
    const nowMs = this.#deps.clock.now();
    const isLate = body.deadlineMs !== 0 && body.deadlineMs <= nowMs;
    const { taskId, contextId, targetSkillId, metadata, deadlineMs } = body;
    const message = withMessageId(body.message);
    return newRecord({
      taskId,
      contextId: contextId || crypto.randomUUID(),
      direction: "inbound",
      peerId,
      status: isLate ? "failed" : "submitted",
      targetSkillId,
      messages: message === undefined ? [] : [message],
      artifacts: [],
      metadata,
      errorMessage: isLate ? DEADLINE_REASON : "",
      createdAtMs: nowMs,
      deadlineMs,
      trace: envelope.trace,
    }, { awaitsAgent: !isLate, sendSequence: 0, envelopeIds: [rememberable(envelope)].filter(Boolean) });
  }

  /** A change by the other side, when it is its to make: the assignee reports, the originator calls off. */
  async #takeChange(peerId: string, envelope: Envelope, body: ChangeBody): Promise<Verdict> {
    const { ledger, assignee, delivery } = this.#deps;
    const stored = await ledger.load(body.taskId);
    if (stored === undefined) return "no such task";
    const { task, envelopeIds } = stored.record;
    const direction = body.type === "cancel" ? "inbound" : "outbound";
    if (task.peerId !== peerId || task.direction !== direction) {
      return "the task is not this peer's to change";
    }
    // Of a task that goes on already, it is another message that may be under way.
    if (direction === "outbound" && task.status === "submitted") delivery.taskIsThere(peerId, task.taskId);
    if (isTerminal(task.status) || envelopeIds.includes(envelope.envelopeId)) return undefined;
    const change = changeOf(body);
    const envelopeId = rememberable(envelope);
    if (direction === "outbound") {
      return await this.#takeReport(
        stored,
        { ...change, message: withMessageId(change.message) },
        envelopeId,
      );
    }
    await assignee.apply(stored, change, { envelopeId });
    return undefined;
  }

  async #takeReport(stored: StoredTask, change: Change, envelopeId: string): Promise<Verdict> {
    const { ledger, resolve, router } = this.#deps;
    const { record } = stored;
    const { task } = record;
    if (change.status === "submitted" || isRepetition(record, change)) return undefined;
    if (change.status === "rejected" && isUntouched(record)) {
      return void await router.moveOn(stored, reasonOf(change), { envelopeId });
    }
    const { message, ...quiet } = change;
    const isNew = message !== undefined && !hasMessage(task, message.messageId);
    if (change.status === task.status && !isNew) return undefined;
    const isProgress = change.status === task.status;
    if (isProgress && isWornOut(record)) return "there was more progress than a task of its size can keep";
    const artifacts = change.artifacts && await resolve(task.taskId, change.artifacts);
    try {
      if (isNew && !isTerminal(change.status)) checkGrowth(record, change);
      await ledger.change(stored, {
        ...quiet,
        ...(isNew && { message }),
        ...(artifacts && { artifacts }),
      }, { envelopeId });
    } catch (error) {
      if (!(error instanceof CodedError && error.code === "resource_exhausted")) throw error;
      if (isProgress) return `the task can keep no more messages: ${error.message}`;
      // The assignee has ended the task or moved it on; what it said about it is more than one record holds.
      const { status, errorMessage = "" } = change;
      const tooMuch = errorMessage ||
        `What the peer sent with it is more than a task can keep: ${error.message}`;
      await ledger.change(stored, { status, errorMessage: tooMuch }, { envelopeId });
    }
    return undefined;
  }

  /** The other side of a task asks how it stands here. */
  async #answer(peerId: string, taskId: string): Promise<Verdict> {
    const { ledger, tell, logger } = this.#deps;
    return await this.#answering.run(peerId, async () => {
      // What came before the question and is being written counts.
      const task = (await ledger.run(taskId, () => ledger.load(taskId)))?.record.task;
      // The last word is enough, and fits into an envelope.
      const messages = task?.messages.filter(({ role }) => role === "agent").slice(-1) ?? [];
      const known = task?.peerId === peerId ? { ...task, messages } : undefined;
      await tell(peerId, { type: "get_task_response", taskId, task: known }).catch((error) => {
        logger.debug("A peer could not be told how a task stands", { peer: peerId, task: taskId, error });
      });
      return undefined;
    });
  }

  /** How a task of ours stands with its assignee: what has been missed is made up for. */
  async #takeResponse(
    peerId: string,
    { taskId, task: theirs }: EnvelopeBody & { type: "get_task_response" },
  ): Promise<Verdict> {
    const { ledger, questions, onTaskResponse } = this.#deps;
    return await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      const task = stored?.record.task;
      if (stored === undefined || task?.direction !== "outbound" || task.peerId !== peerId) {
        return "nobody asked for the task";
      }
      // What it says was true before it got what is still on its way; an end is one all the same.
      const isCurrent = questions.takeAnswer(task);
      if (theirs !== undefined) {
        if (isCurrent || isTerminal(theirs.status)) await this.#catchUp(stored, theirs);
      } else if (isCurrent && !isTerminal(task.status)) {
        const errorMessage = `${peerId} does not know the task any more`;
        await ledger.change(stored, { status: "failed", errorMessage });
      }
      onTaskResponse(taskId);
      return undefined;
    });
  }

  async #catchUp(
    stored: StoredTask,
    { status, messages, artifacts, errorMessage }: Pick<
      Task,
      "status" | "messages" | "artifacts" | "errorMessage"
    >,
  ): Promise<void> {
    const { task } = stored.record;
    if (status === task.status || !canTransition(task.status, status)) return;
    const last = messages.at(-1);
    const message = last?.role === "agent" && !hasMessage(task, last.messageId) ? last : undefined;
    await this.#takeReport(stored, { status, artifacts, errorMessage, message: withMessageId(message) }, "");
  }
}

/** The id under which the envelope is remembered; empty for one that is none. */
function rememberable({ envelopeId }: Envelope): string {
  return isId(envelopeId) ? envelopeId : "";
}
