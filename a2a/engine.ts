import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { KeyedLock } from "../core/keyed_lock.ts";
import type { Logger } from "../core/log.ts";
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
import { Delivery, type DeliveryOptions } from "./delivery.ts";
import type { Artifact, Envelope, EnvelopeBody, Message, OutboxEntry, Task, TaskStatus } from "./model.ts";
import { OpenInbound } from "./open_inbound.ts";
import type { EnvelopeTransport, TaskPage, TaskQuery, TaskStore } from "./ports.ts";
import { RecentSet } from "./recent_set.ts";
import { canTransition, isTerminal } from "./state_machine.ts";
import { Subscriptions } from "./subscriptions.ts";
import { checkId, checkMessage, isId, withMessage } from "./validation.ts";

/** What {@link Engine} works with. */
export interface EngineDeps {
  store: TaskStore;
  transport: EnvelopeTransport;
  logger: Logger;
  clock?: Clock;
}

export interface EngineOptions {
  /** How long an undelivered envelope is kept, in milliseconds; 0 is without limit. Default 24 h. */
  envelopeTtlMs?: number;
  /**
   * Received tasks that may be unfinished at once, of all peers (default 10,000) and of one (default 1,000); more are not
   * acknowledged until there is room.
   */
  maxOpenInbound?: number;
  maxOpenInboundPerPeer?: number;
  delivery?: DeliveryOptions;
}

/** A new task for another agent. */
export interface SendTask {
  peerId: string;
  message: Message;
  targetSkillId?: string;
  contextId?: string;
  metadata?: Readonly<Record<string, string>>;
  /** Idempotency key: a second call with the id of an earlier task to the same peer answers that task. */
  taskId?: string;
}

/** A change of a task, with the message that came with it. */
export interface TaskUpdate {
  readonly task: Task;
  readonly message: Message | undefined;
}

const INCOMING = "incoming";
const DAY_MS = 24 * 60 * 60 * 1000;
/** The last moment a timestamp of the wire can name. */
const NEVER_MS = Date.UTC(9999, 11, 31);
/** Changes of other engines remembered by their envelopes, so that a repeated one changes nothing. */
const MAX_RECENT_ENVELOPES = 10_000;

/**
 * The tasks of one node: every use case, whichever wire it comes from. A step is on disk, together with the envelopes
 * it sends, before it is reported or acknowledged.
 */
export class Engine implements AsyncDisposable {
  readonly #store: TaskStore;
  readonly #transport: EnvelopeTransport;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #envelopeTtlMs: number;
  readonly #delivery: Delivery;
  readonly #locks = new KeyedLock();
  readonly #updates = new Subscriptions<TaskUpdate>();
  /** Ids only: a task is read when its subscriber is ready for it. */
  readonly #incoming = new Subscriptions<string>();
  readonly #openInbound: OpenInbound;
  readonly #recentEnvelopes = new RecentSet(MAX_RECENT_ENVELOPES);
  #lastSequence = 0;

  constructor(deps: EngineDeps, options: EngineOptions = {}) {
    this.#store = deps.store;
    this.#transport = deps.transport;
    this.#logger = deps.logger;
    this.#clock = deps.clock ?? systemClock;
    this.#envelopeTtlMs = options.envelopeTtlMs ?? DAY_MS;
    const { maxOpenInbound: total = 10_000, maxOpenInboundPerPeer: perPeer = 1_000 } = options;
    this.#openInbound = new OpenInbound({ total, perPeer });
    const onExpired = (entry: OutboxEntry) => this.#expire(entry);
    this.#delivery = new Delivery({ ...deps, clock: this.#clock, onExpired }, options.delivery);
  }

  /** Loads what an earlier run left and goes on delivering it. */
  async start(): Promise<void> {
    for await (const task of this.#store.open()) this.#openInbound.update(task);
    this.#lastSequence = await this.#delivery.resume();
  }

  /** Ends subscriptions and deliveries; undelivered envelopes stay in the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closing = new CodedError("cancelled", "The daemon is stopping");
    this.#updates.close(closing);
    this.#incoming.close(closing);
    await this.#delivery.close();
  }

  /**
   * Creates a task for a peer; once it resolves the task is on disk and on its way.
   * @throws CodedError `invalid_argument`, `already_exists`, or `unavailable` when the peer cannot be reached now (then
   * nothing was created).
   */
  async sendTask(request: SendTask, options: { signal?: AbortSignal } = {}): Promise<Task> {
    const { peerId, message } = request;
    if (peerId === this.#transport.peerId) {
      throw new CodedError("invalid_argument", "Cannot send a task to this node itself: name another peer");
    }
    const taskId = checkId("task id", request.taskId || crypto.randomUUID());
    const contextId = checkId("context id", request.contextId || crypto.randomUUID());
    checkMessage(message);
    const known = await this.#store.load(taskId);
    if (known !== undefined) return sameTask(known.task, peerId);
    if (!this.#transport.isConnected(peerId)) await this.#transport.connect(peerId, options);
    return await this.#locks.run(taskId, async () => {
      const { targetSkillId = "", metadata = {} } = request;
      const task = this.#createTask(
        taskId,
        { message, contextId, targetSkillId, metadata },
        { direction: "outbound", peerId },
      );
      const body: EnvelopeBody = { type: "send_task", taskId, contextId, message, targetSkillId, metadata };
      if (await this.#commit(task, undefined, [body])) return task;
      const winner = await this.#store.load(taskId);
      if (winner === undefined) {
        throw new CodedError("aborted", `Task ${taskId} changed while it was created: try again`);
      }
      return sameTask(winner.task, peerId);
    });
  }

  /** The task as it stands. @throws CodedError `not_found`. */
  async getTask(taskId: string): Promise<Task> {
    return (await this.#load(taskId)).task;
  }

  /** Tasks, newest first. */
  listTasks(query: TaskQuery): Promise<TaskPage> {
    return this.#store.list(query);
  }

  /** Reports progress on a received task. @throws CodedError `not_found`, `failed_precondition`. */
  updateTask(taskId: string, status: TaskStatus, message?: Message): Promise<Task> {
    if (status === "submitted") {
      throw new CodedError(
        "invalid_argument",
        "A task cannot go back to submitted: report working or a later state",
      );
    }
    return this.#advance(taskId, { status, message });
  }

  /** Ends a received task with its results. @throws CodedError `not_found`, `failed_precondition`. */
  completeTask(taskId: string, artifacts: readonly Artifact[], message?: Message): Promise<Task> {
    return this.#advance(taskId, { status: "completed", artifacts, message });
  }

  /** Ends a received task with the reason of its failure. @throws CodedError `not_found`, `failed_precondition`. */
  failTask(taskId: string, errorMessage: string): Promise<Task> {
    return this.#advance(taskId, { status: "failed", errorMessage });
  }

  /** Cancels a task, sent or received, and tells the other side. @throws CodedError `not_found`, `failed_precondition`. */
  cancelTask(taskId: string): Promise<Task> {
    return this.#advance(taskId, { status: "canceled" });
  }

  /** The task's current state first, then each change; ends after the terminal one. @throws CodedError `not_found`. */
  async subscribe(
    taskId: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<TaskUpdate>> {
    return await this.#locks.run(taskId, async () => {
      const { task } = await this.#load(taskId);
      const message = task.messages.findLast((one) => one.role === "agent");
      const channel = this.#updates.subscribe(taskId, [{ task, message }], options.signal);
      if (isTerminal(task.status)) channel.close();
      return channel;
    });
  }

  /**
   * Received tasks: those nobody has taken up first, then new ones as they come. Every subscriber gets every task. The
   * first one after all others have gone is also given the tasks that were being worked on.
   */
  subscribeIncoming(options: { signal?: AbortSignal } = {}): AsyncIterable<Task> {
    const orphaned = this.#incoming.has(INCOMING) ? [] : this.#openInbound.idsIn("working");
    const replay = [...orphaned, ...this.#openInbound.idsIn("submitted")];
    const taskIds = this.#incoming.subscribe(INCOMING, replay, options.signal);
    return this.#loadOffered(taskIds, new Set(orphaned));
  }

  /** Tasks nobody has taken up since they were offered; of the `orphaned` ones, those still being worked on, once. */
  async *#loadOffered(taskIds: AsyncIterable<string>, orphaned: Set<string>): AsyncIterable<Task> {
    for await (const taskId of taskIds) {
      const task = (await this.#store.load(taskId))?.task;
      const isOrphan = orphaned.delete(taskId);
      if (task?.status === "submitted" || (isOrphan && task?.status === "working")) yield task;
    }
  }

  /**
   * Takes an envelope of another engine. It is acknowledged when it has been judged for good, be it accepted, a
   * duplicate or refused; not while this node cannot take it, so that the sender tries again.
   */
  async receive(peerId: string, envelope: Envelope): Promise<void> {
    const { body, envelopeId } = envelope;
    if (body.type === "ack") return this.#delivery.acknowledge(peerId, body.acknowledgedEnvelopeId);
    const facts = { peer: peerId, envelope: body.type, task: body.taskId };
    try {
      const refusal = body.type === "send_task"
        ? await this.#receiveTask(peerId, body)
        : await this.#receiveChange(peerId, body, envelopeId);
      if (refusal !== undefined) this.#logger.warn("Envelope refused", { ...facts, reason: refusal });
    } catch (error) {
      this.#logger.error("Envelope not taken; its sender will try again", { ...facts, error });
      return;
    }
    await this.#sendUnrecorded(peerId, { type: "ack", acknowledgedEnvelopeId: envelopeId });
  }

  /** A peer can be reached: what waits for it is sent. */
  peerConnected(peerId: string): void {
    this.#delivery.peerConnected(peerId);
  }

  /** Answers why the task was refused, or undefined; the sender has been told then. */
  async #receiveTask(
    peerId: string,
    body: SendTaskBody,
  ): Promise<string | undefined> {
    const refusal = refusalOf(body) ?? await this.#keepTask(peerId, body);
    if (refusal === undefined) return undefined;
    const { taskId } = body;
    const rejected: EnvelopeBody = { type: "status_update", taskId, status: "rejected", message: undefined };
    if (await this.#sendUnrecorded(peerId, rejected)) return refusal;
    throw new CodedError("unavailable", `its sender could not be told that it is refused: ${refusal}`);
  }

  /** Creates the task unless it is there already; answers why it cannot be, or undefined. */
  async #keepTask(peerId: string, body: SendTaskBody): Promise<string | undefined> {
    const taskId = body.taskId || crypto.randomUUID();
    return await this.#locks.run(taskId, async () => {
      const known = await this.#store.load(taskId);
      if (known?.task.direction === "inbound" && known.task.peerId === peerId) return undefined;
      if (known !== undefined) return "the task id belongs to another task";
      this.#openInbound.checkRoom(peerId);
      const task = this.#createTask(taskId, body, { direction: "inbound", peerId });
      if (!await this.#commit(task, undefined, [])) {
        throw new CodedError("aborted", "the task changed meanwhile");
      }
      this.#incoming.publish(INCOMING, taskId);
      return undefined;
    });
  }

  #createTask(
    taskId: string,
    { message, contextId, targetSkillId, metadata }: Omit<SendTaskBody, "type" | "taskId">,
    side: Pick<Task, "direction" | "peerId">,
  ): Task {
    const nowMs = this.#clock.now();
    return {
      taskId,
      contextId,
      ...side,
      status: "submitted",
      targetSkillId,
      messages: message === undefined ? [] : [message],
      artifacts: [],
      metadata,
      errorMessage: "",
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
  }

  /** Answers why the change was refused, or undefined when it was applied or had nothing to change. */
  async #receiveChange(peerId: string, body: ChangeBody, envelopeId: string): Promise<string | undefined> {
    const recent = `${peerId}/${envelopeId}`;
    const problem = problemOf(() => checkId("task id", body.taskId));
    return problem ?? await this.#locks.run(body.taskId, async () => {
      if (this.#recentEnvelopes.has(recent)) return undefined;
      const stored = await this.#store.load(body.taskId);
      if (stored === undefined) return "no such task";
      const { task, revision } = stored;
      const owner = body.type === "cancel" ? "inbound" : "outbound";
      if (task.peerId !== peerId || task.direction !== owner) return "the task is not this peer's to change";
      this.#delivery.acknowledgeTask(peerId, task.taskId);
      const change = changeOf(body);
      if (change.status === "submitted" || isTerminal(task.status)) return undefined;
      if (change.status === task.status && change.message === undefined) return undefined;
      if (!await this.#apply({ task, revision }, change, [])) {
        throw new CodedError("aborted", "the task changed meanwhile");
      }
      if (isId(envelopeId)) this.#recentEnvelopes.add(recent);
      return undefined;
    });
  }

  /** A change this node makes: checked against the table and the ownership, reported to the other side. */
  async #advance(taskId: string, change: Change): Promise<Task> {
    if (change.message !== undefined) checkMessage(change.message);
    return await this.#locks.run(taskId, async () => {
      const stored = await this.#load(taskId);
      const { task } = stored;
      if (task.direction === "outbound" && change.status !== "canceled") {
        throw new CodedError(
          "failed_precondition",
          `Cannot report ${change.status} on task ${taskId}: only ${task.peerId}, which it was sent to, can; cancel it instead`,
        );
      }
      const same = task.status === "working" && change.status === "working";
      if (same && change.message === undefined) return task;
      if (!same && !canTransition(task.status, change.status)) {
        throw new CodedError(
          "failed_precondition",
          `Cannot change task ${taskId} from ${task.status} to ${change.status}` +
            (isTerminal(task.status) ? ": it has ended" : ""),
        );
      }
      const applied = await this.#apply(stored, change, reportOf(task, change));
      if (applied === undefined) {
        throw new CodedError("aborted", `Task ${taskId} changed meanwhile: try again`);
      }
      return applied;
    });
  }

  /** Commits the change, then tells the subscribers; undefined when the record has moved on. */
  async #apply(
    stored: { task: Task; revision: string },
    change: Change,
    envelopes: readonly EnvelopeBody[],
  ): Promise<Task | undefined> {
    const { task } = stored;
    const next: Task = {
      ...task,
      status: change.status,
      messages: withMessage(task.messages, change.message),
      artifacts: change.artifacts ?? task.artifacts,
      errorMessage: reasonOf(change),
      updatedAtMs: this.#clock.now(),
    };
    if (!await this.#commit(next, stored.revision, envelopes)) return undefined;
    this.#updates.publish(next.taskId, { task: next, message: change.message }, {
      last: isTerminal(next.status),
    });
    return next;
  }

  async #commit(task: Task, revision: string | undefined, bodies: readonly EnvelopeBody[]): Promise<boolean> {
    const nowMs = this.#clock.now();
    const outbox = bodies.map((body): OutboxEntry => ({
      peerId: task.peerId,
      sequence: this.#nextSequence(nowMs),
      taskId: task.taskId,
      envelope: { envelopeId: crypto.randomUUID(), timestampMs: nowMs, body },
      queuedAtMs: nowMs,
      expiresAtMs: this.#envelopeTtlMs === 0 ? NEVER_MS : nowMs + this.#envelopeTtlMs,
    }));
    if (!await this.#store.commit({ task, revision, outbox })) return false;
    this.#openInbound.update(task);
    this.#delivery.enqueue(outbox);
    return true;
  }

  /** Grows with every call, also over restarts and when the clock steps back. */
  #nextSequence(nowMs: number): number {
    return this.#lastSequence = Math.max(this.#lastSequence + 1, nowMs * 1000);
  }

  /** Sends what is not kept: its loss is mended by the other side's next try. False when it could not be sent. */
  async #sendUnrecorded(peerId: string, body: EnvelopeBody): Promise<boolean> {
    const envelope = { envelopeId: crypto.randomUUID(), timestampMs: this.#clock.now(), body };
    try {
      await this.#transport.send(peerId, envelope);
      return true;
    } catch (error) {
      this.#logger.debug("Could not answer an envelope", { peer: peerId, envelope: body.type, error });
      return false;
    }
  }

  /** The time of an undelivered envelope is over: a task that never got there has failed. */
  async #expire(entry: OutboxEntry): Promise<void> {
    const { taskId, peerId, envelope } = entry;
    this.#logger.warn("Envelope given up", { peer: peerId, task: taskId, envelope: envelope.body.type });
    if (envelope.body.type !== "send_task") return;
    await this.#locks.run(taskId, async () => {
      const stored = await this.#store.load(taskId);
      if (stored === undefined || isTerminal(stored.task.status)) return;
      const hours = Math.round(this.#envelopeTtlMs / 360_000) / 10;
      const errorMessage = `Could not be delivered: ${peerId} did not acknowledge it within ${hours} h`;
      if (!await this.#apply(stored, { status: "failed", errorMessage }, [])) {
        throw new CodedError("aborted", `Task ${taskId} changed meanwhile`);
      }
    });
  }

  async #load(taskId: string): Promise<{ task: Task; revision: string }> {
    const stored = await this.#store.load(checkId("task id", taskId));
    if (stored === undefined) {
      throw new CodedError("not_found", `No task ${taskId} on this node: see \`agentanycast task list\``);
    }
    return stored;
  }
}

function sameTask(task: Task, peerId: string): Task {
  if (task.direction === "outbound" && task.peerId === peerId) return task;
  throw new CodedError(
    "already_exists",
    `Task id ${task.taskId} belongs to another task: leave it out to get a new one`,
  );
}
