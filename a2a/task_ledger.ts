import type { Clock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { KeyedLock } from "../core/keyed_lock.ts";
import type { Agenda } from "./agenda.ts";
import type { Change } from "./changes.ts";
import type { Delivery, OutboxPlace } from "./delivery.ts";
import type { EnvelopeBody, OutboxEntry, OutboxLane, TaskRecord } from "./model.ts";
import type { Offers } from "./offers.ts";
import type { EngineObserver, EnvelopeEncoder, OutboxKey, StoredTask, TaskStep, TaskStore } from "./ports.ts";
import { SentTasks } from "./sent_tasks.ts";
import { isTerminal } from "./state_machine.ts";
import { amendedRecord, changedRecord, type RecordChange } from "./task_record.ts";
import type { TaskWatch } from "./task_watch.ts";
import { checkId } from "./validation.ts";

/** What a step does besides changing the task. */
export interface StepOptions extends RecordChange {
  /** What the other side is told. */
  readonly envelopes?: readonly EnvelopeBody[];
  /** Where they go, when it is not the end of their lane. */
  readonly place?: OutboxPlace;
  /** How long they are kept undelivered, in milliseconds, when it is less than usual. */
  readonly ttlMs?: number;
  /** What it is not to be told any more. A key alone: its delivery is coming to an end by itself. */
  readonly withdrawn?: readonly (OutboxEntry | OutboxKey)[];
}

export interface TaskLedgerDeps {
  store: TaskStore;
  clock: Clock;
  encode: EnvelopeEncoder;
  delivery: Delivery;
  offers: Offers;
  watch: TaskWatch;
  agenda: Agenda;
  observer: Pick<EngineObserver, "onStatus"> | undefined;
  /** When the task has to be looked at again, in milliseconds since the Unix epoch. */
  dueOf: (record: TaskRecord) => number;
  /** A record is as given, on disk. */
  onRecord: (record: TaskRecord) => void;
}

/** The last moment a timestamp of the wire can name. */
const NEVER_MS = Date.UTC(9999, 11, 31);
/** How long a peer that may have a task is told that it is over, should it be away that long: as long as ended tasks are kept. */
const CALLED_OFF_TTL_MS = 30 * 24 * 60 * 60 * 1000;
/** When a task is looked at again whose last step ended nobody knows how. */
const LOOK_AGAIN_MS = 1_000;
/** Such tasks remembered; what happened to others is found after the next start. */
const MAX_UNSURE = 10_000;

/**
 * The records of all tasks and the one way to change them: a step is on disk, with the envelopes it sends, before anybody is
 * told of it.
 */
export class TaskLedger {
  /** What callers of this node have under way through it. */
  readonly sent = new SentTasks();
  readonly #deps: TaskLedgerDeps;
  readonly #envelopeTtlMs: number;
  readonly #locks = new KeyedLock();
  /** Tasks of which it is not known how their last step ended, and what it was to send. */
  readonly #unsure = new Map<string, readonly OutboxEntry[]>();
  #lastSequence = 0;

  /** @param options.envelopeTtlMs how long an undelivered envelope is kept; 0 is without limit. */
  constructor(deps: TaskLedgerDeps, options: { envelopeTtlMs: number }) {
    this.#deps = deps;
    this.#envelopeTtlMs = options.envelopeTtlMs;
  }

  /** Continues the sequence of an earlier run. */
  start(lastSequence: number): void {
    this.#lastSequence = lastSequence + 1; // see #nextSequence
  }

  /** Takes up an unfinished task of an earlier run. */
  resume(record: TaskRecord): void {
    this.#deps.offers.update(record);
    this.#deps.agenda.plan(record.task.taskId, this.#deps.dueOf(record));
    this.sent.onRecord(record);
    this.#deps.onRecord(record);
  }

  /** Has the task looked at again, at `atMs` in milliseconds since the Unix epoch. */
  look(taskId: string, atMs: number): void {
    this.#deps.agenda.plan(taskId, atMs);
  }

  /** Runs `work` while nothing else changes the task. */
  run<T>(taskId: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.run(taskId, work);
  }

  /** The record when it is at hand without reading. */
  cached(taskId: string): StoredTask | undefined {
    return this.#deps.store.cached(taskId);
  }

  async load(taskId: string): Promise<StoredTask | undefined> {
    const stored = await this.#deps.store.load(taskId);
    const unsure = this.#unsure.get(taskId);
    if (unsure === undefined) return stored;
    this.#unsure.delete(taskId);
    if (stored !== undefined) this.#tell(stored.record);
    this.#deps.delivery.lookFor(unsure);
    return stored;
  }

  /** @throws CodedError `not_found`. */
  async get(taskId: string): Promise<StoredTask> {
    const stored = await this.load(checkId("task id", taskId));
    if (stored !== undefined) return stored;
    throw new CodedError("not_found", `No task ${taskId} on this node: see \`agentanycast task list\``);
  }

  /** Writes a new task; undefined when there is one of that id. @throws CodedError `resource_exhausted`. */
  async create(record: TaskRecord, envelopes: readonly EnvelopeBody[]): Promise<StoredTask | undefined> {
    const created = await this.#commit(record, undefined, { envelopes });
    if (created !== undefined) this.#deps.observer?.onStatus(record.task, undefined);
    return created;
  }

  /** Changes the task and tells its subscribers. @throws CodedError `aborted` when it has moved on since it was loaded. */
  async change(stored: StoredTask, change: Change, options: StepOptions = {}): Promise<StoredTask> {
    const { clock, observer } = this.#deps;
    const record = changedRecord(stored.record, change, { ...options, nowMs: clock.now() });
    const changed = await this.#step(stored, record, options);
    const from = stored.record.task.status;
    if (from !== record.task.status) observer?.onStatus(record.task, from);
    return changed;
  }

  /** Changes what only this node knows of the task. @throws CodedError `aborted`. */
  amend(stored: StoredTask, options: StepOptions): Promise<StoredTask> {
    return this.#step(stored, amendedRecord(stored.record, options), options);
  }

  async #step(stored: StoredTask, record: TaskRecord, options: StepOptions): Promise<StoredTask> {
    const next = await this.#commit(record, stored.revision, options);
    if (next !== undefined) return next;
    throw new CodedError("aborted", `Task ${record.task.taskId} changed meanwhile: try again`);
  }

  async #commit(
    record: TaskRecord,
    revision: string | undefined,
    { envelopes = [], withdrawn = [], place, ttlMs = Infinity }: StepOptions,
  ): Promise<StoredTask | undefined> {
    const { delivery } = this.#deps;
    const to = place ?? placeOf(record);
    const outbox = envelopes.map((body) => this.#toEntry(record, body, { ...to, ttlMs }));
    const sent = outbox.find(({ type }) => type === "send_task");
    const next = sent === undefined ? record : { ...record, sendSequence: sent.sequence };
    delivery.reserve(outbox);
    let stored: StoredTask | undefined;
    try {
      stored = await this.#write({ record: next, revision, outbox, withdrawn });
    } catch (error) {
      delivery.giveUp(outbox);
      throw error;
    }
    if (stored === undefined) {
      delivery.giveUp(outbox);
      return undefined;
    }
    for (const entry of withdrawn) if ("bytes" in entry) delivery.forget(entry);
    delivery.enqueue(outbox);
    this.#tell(record);
    return stored;
  }

  /** Commits the step. Of one that failed, it finds out whether it was done all the same. */
  async #write(step: TaskStep): Promise<StoredTask | undefined> {
    const { store } = this.#deps;
    const { taskId } = step.record.task;
    try {
      return await store.commit(step);
    } catch (error) {
      const found = await store.load(taskId).catch(() => "unreadable" as const);
      if (found === "unreadable") this.#remember(taskId, step.outbox);
      else if (found !== undefined && isStep(step, found)) return found;
      throw error;
    }
  }

  /** A step of the task may have been done without anybody being told: the next one who loads the task does it. */
  #remember(taskId: string, outbox: readonly OutboxEntry[]): void {
    if (this.#unsure.size < MAX_UNSURE) this.#unsure.set(taskId, outbox);
    this.#deps.agenda.plan(taskId, this.#deps.clock.now() + LOOK_AGAIN_MS);
  }

  #tell(record: TaskRecord): void {
    const { offers, watch, agenda, dueOf, onRecord } = this.#deps;
    const { taskId, status } = record.task;
    offers.update(record);
    if (isTerminal(status)) agenda.drop(taskId);
    else agenda.plan(taskId, dueOf(record));
    this.sent.onRecord(record);
    onRecord(record);
    watch.notify(taskId);
  }

  #toEntry(
    { task }: TaskRecord,
    body: EnvelopeBody,
    { lane, sequence, ttlMs }: OutboxPlace & { ttlMs: number },
  ): OutboxEntry {
    const { clock, encode } = this.#deps;
    const nowMs = clock.now();
    const isCalledOff = body.type === "cancel" && isTerminal(task.status);
    const usualMs = this.#envelopeTtlMs === 0 ? Infinity : this.#envelopeTtlMs;
    const keptMs = Math.min(ttlMs, isCalledOff ? Math.max(CALLED_OFF_TTL_MS, usualMs) : usualMs);
    const envelopeId = crypto.randomUUID();
    const bytes = encode({ envelopeId, timestampMs: nowMs, trace: task.trace, body });
    return {
      peerId: task.peerId,
      lane,
      sequence: sequence ?? this.#nextSequence(nowMs, lane),
      taskId: task.taskId,
      envelopeId,
      type: body.type,
      bytes,
      queuedAtMs: nowMs,
      expiresAtMs: Math.min(NEVER_MS, nowMs + keptMs),
    };
  }

  /** Grows with every call, also over restarts and when the clock steps back. Behind a request one place is left free. */
  #nextSequence(nowMs: number, lane: OutboxLane): number {
    const sequence = Math.max(this.#lastSequence + 1, nowMs * 1000);
    this.#lastSequence = lane === "requests" ? sequence + 1 : sequence;
    return sequence;
  }
}

/** Where the envelopes of a step go: what comes after the request that made the task does not wait for other tasks. */
function placeOf({ task }: TaskRecord): OutboxPlace {
  if (task.direction === "inbound") return { lane: "reports" };
  return { lane: task.status === "submitted" ? "requests" : "turns" };
}

/** Whether the record found is the one the step wrote. */
function isStep({ record, revision }: TaskStep, found: StoredTask): boolean {
  if (revision !== undefined) return found.revision !== revision;
  const [wanted, { task }] = [record.task, found.record];
  return task.generation === 1 && task.direction === wanted.direction && task.peerId === wanted.peerId &&
    task.contextId === wanted.contextId && task.createdAtMs === wanted.createdAtMs &&
    found.record.sendSequence === record.sendSequence;
}
