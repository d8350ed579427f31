import { NO_TRACE } from "../core/tracer.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { Agenda } from "./agenda.ts";
import { Assignee } from "./assignee.ts";
import { Caretaker, CARETAKER_DEFAULTS, type CaretakerOptions } from "./caretaker.ts";
import type { Change } from "./changes.ts";
import { Delivery, type DeliveryOptions } from "./delivery.ts";
import { Inbox } from "./inbox.ts";
import type { Artifact, Envelope, EnvelopeBody, Message, OutboxEntry, Task, TaskStatus } from "./model.ts";
import { type OfferLimits, type OfferOptions, Offers } from "./offers.ts";
import { Originator, type SendTask } from "./originator.ts";
import type {
  AdmitSend,
  AdmitTask,
  Answer,
  CallerTask,
  EngineObserver,
  EnvelopeEncoder,
  EnvelopeTransport,
  RouteFinder,
  TaskPage,
  TaskQuery,
  TaskStore,
} from "./ports.ts";
import { Questions } from "./questions.ts";
import { isInterrupted, isTerminal } from "./state_machine.ts";
import { Router, ROUTER_DEFAULTS, type RouterOptions } from "./router.ts";
import { TaskLedger } from "./task_ledger.ts";
import { checkDeadline } from "./validation.ts";
import { type TaskUpdate, TaskWatch, type WatchOptions } from "./task_watch.ts";

/** What was streamed for tasks, apart from their records. */
export interface StreamedArtifacts {
  /** Results of a received task that were streamed: without their bytes to a peer, with them for a caller of this node. */
  results(task: Task): Promise<readonly Artifact[]>;
  /** Results of a sent task with what was streamed of them in place. */
  resolve(taskId: string, artifacts: readonly Artifact[]): Promise<readonly Artifact[]>;
  /** The tasks are gone: what was streamed for them can go too. */
  deleteTasks(taskIds: readonly string[]): Promise<void>;
}

/** What {@link Engine} works with. */
export interface EngineDeps {
  store: TaskStore;
  transport: EnvelopeTransport;
  encode: EnvelopeEncoder;
  logger: Logger;
  clock?: Clock;
  streamed?: StreamedArtifacts;
  /** Decides which tasks of others are taken; without it all are. */
  admit?: AdmitTask;
  /** Decides which tasks are sent; without it all are. */
  admitSend?: AdmitSend;
  /** Finds agents for tasks that are sent to a skill. Default: none can be. */
  finder?: RouteFinder | undefined;
  /** Is told what happens. Default nobody. */
  observer?: EngineObserver | undefined;
}

export interface EngineOptions extends Partial<CaretakerOptions> {
  /** How long an undelivered envelope is kept, in milliseconds; 0 is without limit. Default 24 h. */
  envelopeTtlMs?: number;
  /**
   * Received tasks that may be unfinished at once, of all peers (default 10,000, with 1 GiB of messages) and of one (default
   * 1,000, with 256 MiB); more are not taken until there is room. How long a worker's claim lasts without renewal, default 30 s.
   */
  offers?: Partial<OfferLimits>;
  delivery?: DeliveryOptions;
  routing?: Partial<RouterOptions>;
}

/** A task for an agent of this node, and the claim under which it has it (empty for none). */
export interface OfferedTask {
  readonly task: Task;
  readonly claimId: string;
  readonly leaseMs: number;
}

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
/** How long a peer has for answering what is not kept. */
const TELL_TIMEOUT_MS = 10_000;

/**
 * The tasks of one node: every use case, whichever wire it comes from. A step is on disk, together with the envelopes it
 * sends, before it is reported or answered.
 */
export class Engine implements AsyncDisposable {
  readonly #deps: Required<Omit<EngineDeps, "finder" | "observer">> & {
    readonly finder: RouteFinder | undefined;
    readonly observer: EngineObserver | undefined;
  };
  readonly #delivery: Delivery;
  readonly #offers: Offers;
  readonly #watch: TaskWatch;
  readonly #agenda: Agenda;
  readonly #ledger: TaskLedger;
  readonly #questions: Questions;
  readonly #router: Router;
  readonly #originator: Originator;
  readonly #assignee: Assignee;
  readonly #caretaker: Caretaker;
  readonly #inbox: Inbox;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];
  /** While it loads what an earlier run left. */
  #starting: Promise<void> | undefined;
  /** Wakes those who wait for a peer's word on a task. */
  readonly #responses = new Map<string, Set<() => void>>();

  constructor(deps: EngineDeps, options: EngineOptions = {}) {
    const { clock = systemClock, streamed = nothingStreamed, finder, observer } = deps;
    const { admit = () => undefined, admitSend = () => undefined } = deps;
    this.#deps = { ...deps, clock, streamed, admit, admitSend, finder, observer };
    const { store, logger } = deps;
    const caretaking = { ...CARETAKER_DEFAULTS, ...options };
    const tell = (peerId: string, body: EnvelopeBody) => this.#tell(peerId, body);
    this.#delivery = new Delivery({
      ...this.#deps,
      onAnswered: (entry, answer) => this.#onAnswered(entry, answer),
      onExpired: (entry, options) => this.#caretaker.onExpired(entry, options),
      onBusy: (entry, options) => this.#caretaker.onBusy(entry, options),
      onUnreachable: (peerId) => this.#router.peerUnreachable(peerId),
    }, options.delivery);
    this.#offers = new Offers({ clock, logger, onLapsed: (taskId) => this.#offerAgain(taskId) }, {
      total: 10_000,
      perPeer: 1_000,
      bytesPerPeer: 256 * MIB,
      bytesTotal: 1024 * MIB,
      leaseMs: 30_000,
      ...options.offers,
    });
    this.#watch = new TaskWatch(async (taskId) => (await store.load(taskId))?.record);
    this.#agenda = new Agenda({ clock, logger, onDue: (taskId) => this.#caretaker.onDue(taskId) });
    const parts = { ...this.#deps, delivery: this.#delivery, offers: this.#offers, tell };
    this.#ledger = new TaskLedger({
      ...parts,
      watch: this.#watch,
      agenda: this.#agenda,
      dueOf: (record) => this.#caretaker.dueOf(record),
      onRecord: (record) => this.#router.onRecord(record),
    }, { envelopeTtlMs: options.envelopeTtlMs ?? DAY_MS });
    const ledger = this.#ledger;
    const questions = this.#questions = new Questions({ ...parts, ledger });
    const router = this.#router = new Router({ ...parts, ledger, stop: this.#stop.signal }, {
      ...ROUTER_DEFAULTS,
      ...options.routing,
    });
    this.#originator = new Originator({ ...parts, ledger, router });
    this.#assignee = new Assignee({ ...parts, ledger, streamed: (task) => streamed.results(task) });
    this.#caretaker = new Caretaker({
      ...parts,
      ledger,
      questions,
      router,
      stop: this.#stop.signal,
      originator: this.#originator,
      assignee: this.#assignee,
      onRemoved: (taskIds) => streamed.deleteTasks(taskIds),
    }, caretaking);
    this.#inbox = new Inbox({
      ...parts,
      ledger,
      questions,
      router,
      assignee: this.#assignee,
      resolve: (taskId, artifacts) => streamed.resolve(taskId, artifacts),
      onTaskResponse: (taskId) => this.#responded(taskId),
    });
  }

  /**
   * Loads what an earlier run left and goes on with it; envelopes that arrive meanwhile wait.
   * @param options.agentIds agents with a role that were there at the end of that run: they get their tasks when they are back.
   */
  async start({ agentIds = [] }: { agentIds?: readonly string[] } = {}): Promise<void> {
    this.#starting = this.#load(agentIds);
    await this.#starting;
    this.#starting = undefined;
  }

  async #load(agentIds: readonly string[]): Promise<void> {
    for await (const record of this.#deps.store.open()) this.#ledger.resume(record);
    this.#offers.start(agentIds);
    this.#ledger.start(await this.#delivery.resume());
    const { signal } = this.#stop;
    this.#running.push(
      this.#agenda.run(signal),
      this.#caretaker.sweep(signal),
      this.#delivery.expire(signal),
      this.#offers.claims.run(signal),
    );
  }

  /** Ends subscriptions, and deliveries as `delivery` says; undelivered envelopes stay in the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closing = new CodedError("cancelled", "The daemon is stopping");
    this.#stop.abort(closing);
    this.#watch.close(closing);
    this.#offers.close(closing);
    await this.#router.close();
    await this.#delivery.close();
    await Promise.all(this.#running);
  }

  /**
   * Creates a task for a peer, or answers one that waits for input; once it resolves it is on disk. A peer that cannot be
   * reached gets it later; a task for a skill goes to the first agent that takes it. @throws CodedError `invalid_argument`,
   * `not_found` (nobody offers the skill), `already_exists`, `failed_precondition` (a further message
   * for a task that does not wait for one), `deadline_exceeded`, `resource_exhausted` (too much waits for the peer, or
   * too fast), `permission_denied` (the policy of this node).
   */
  async sendTask(request: SendTask): Promise<Task> {
    checkDeadline(request.deadlineMs ?? 0);
    return await this.#originator.send(request);
  }

  /** The task as it stands here. @throws CodedError `not_found`. */
  async getTask(taskId: string): Promise<Task> {
    return (await this.#ledger.get(taskId)).record.task;
  }

  /**
   * The task after its assignee was asked how it stands. @throws CodedError `not_found`, `unavailable` (no answer),
   * `unimplemented` (the peer speaks 1.0 only).
   */
  async refreshTask(taskId: string, options: { signal?: AbortSignal } = {}): Promise<Task> {
    const { transport } = this.#deps;
    const { direction, peerId, status } = await this.getTask(taskId);
    if (direction === "inbound" || peerId === "" || isTerminal(status)) return await this.getTask(taskId);
    const signal = AbortSignal.any([this.#stop.signal, ...options.signal ? [options.signal] : []]);
    if (!transport.isConnected(peerId)) await transport.connect(peerId, { signal });
    const response = this.#nextResponse(taskId);
    try {
      await this.#questions.ask(taskId, { onlySettled: false });
      // Nobody answers for a task that ended meanwhile.
      if (isTerminal((await this.getTask(taskId)).status)) return await this.getTask(taskId);
      await this.#within(response.promise, peerId, { signal });
    } catch (error) {
      if (transport.framingOf(peerId) !== "1.0") throw error;
      throw new CodedError("unimplemented", `${peerId} does not say how tasks stand: it speaks 1.0 only`);
    } finally {
      response.leave();
    }
    return await this.getTask(taskId);
  }

  /** Unfinished tasks at a peer that were sent to a skill. */
  loadOf(peerId: string): number {
    return this.#router.loadOf(peerId);
  }

  /** What waits to be done: envelopes for other nodes, and received tasks that have not ended. */
  get backlog(): { readonly envelopes: number; readonly bytes: number; readonly openTasks: number } {
    const { count: envelopes, bytes } = this.#delivery.load;
    return { envelopes, bytes, openTasks: this.#offers.size };
  }

  /** When the envelope was committed that has waited longest, in milliseconds since the Unix epoch; undefined when none waits. */
  oldestQueuedAtMs(): Promise<number | undefined> {
    return this.#delivery.oldestQueuedAtMs();
  }

  /** Tasks, newest first. */
  listTasks(query: TaskQuery): Promise<TaskPage> {
    return this.#deps.store.list(query);
  }

  /** The tasks of a caller of this node in short, the one that changed last first. */
  tasksOf(caller: string): Promise<readonly CallerTask[]> {
    return this.#deps.store.ofCaller(caller);
  }

  /** Reports progress on a received task. @throws CodedError `not_found`, `failed_precondition`. */
  updateTask(
    taskId: string,
    change: { status: TaskStatus; message?: Message | undefined },
    options: { claimId?: string } = {},
  ): Promise<Task> {
    if (change.status === "submitted") {
      throw new CodedError(
        "invalid_argument",
        "A task cannot go back to submitted: report working or a later state",
      );
    }
    return this.#advance(taskId, change, options);
  }

  /** Ends a received task with its results. @throws CodedError `not_found`, `failed_precondition`. */
  completeTask(
    taskId: string,
    result: { artifacts: readonly Artifact[]; message?: Message | undefined },
    options: { claimId?: string } = {},
  ): Promise<Task> {
    return this.#advance(taskId, { status: "completed", ...result }, options);
  }

  /** Ends a received task with the reason of its failure. @throws CodedError `not_found`, `failed_precondition`. */
  failTask(taskId: string, errorMessage: string, options: { claimId?: string } = {}): Promise<Task> {
    return this.#advance(taskId, { status: "failed", errorMessage }, options);
  }

  /**
   * Cancels a task. A received one ends at once. A sent one ends at once when it has not left this node; else its assignee is
   * asked to end it, and the task says `cancelRequested` until it has. @throws CodedError `not_found`, `failed_precondition`.
   */
  async cancelTask(taskId: string): Promise<Task> {
    return await this.#ledger.run(taskId, async () => {
      const stored = await this.#ledger.get(taskId);
      return stored.record.task.direction === "outbound"
        ? await this.#originator.cancel(stored)
        : await this.#assignee.apply(stored, { status: "canceled" });
    });
  }

  /**
   * The changes of a task: its current state first, or all behind `afterGeneration`; ends after the final one.
   * @throws CodedError `not_found`, `out_of_range`, `resource_exhausted`.
   */
  subscribe(taskId: string, options: WatchOptions = {}): AsyncIterable<TaskUpdate> {
    return this.#watch.updates(taskId, options);
  }

  /**
   * Received tasks: those nobody has taken up first, then new ones as they come, and again those that got an answer. A subscriber
   * with a role gets those it is for, each of which goes to one such; an exclusive one those it has claimed; any other one all.
   */
  async *subscribeIncoming(options: OfferOptions = {}): AsyncIterable<OfferedTask> {
    const { leaseMs } = this.#offers.claims;
    for await (const { taskId, claimId } of this.#offers.subscribe(options)) {
      const record = (await this.#ledger.load(taskId))?.record;
      if (record !== undefined && !isTerminal(record.task.status)) {
        yield { task: record.task, claimId, leaseMs };
      }
    }
  }

  /** An agent with a role will not come back: others may have its tasks. */
  forgetAgent(agentId: string): void {
    this.#offers.forgetAgent(agentId);
  }

  /** Lengthens claims by one lease; answers those that are over. */
  renewClaims(claimIds: readonly string[]): string[] {
    return this.#offers.claims.renew(claimIds);
  }

  /**
   * Takes an envelope of another engine and answers what became of it; never throws. It is on disk when it was taken; a busy
   * engine wants to be sent it again.
   */
  async receive(peerId: string, envelope: Envelope): Promise<Answer> {
    this.#deps.observer?.onReceived(envelope.body.type);
    try {
      // What it leads to must not overtake what an earlier run has left to be sent.
      if (this.#starting !== undefined) await this.#starting;
    } catch {
      return { outcome: "busy", reason: "the engine could not start" };
    }
    return await this.#inbox.receive(peerId, envelope);
  }

  /** The network is better than it was: what waits for peers is tried now. */
  retryUndelivered(): void {
    this.#delivery.retryNow();
  }

  /** A peer can be reached: what waits for it is sent. */
  peerConnected(peerId: string): void {
    this.#delivery.peerConnected(peerId);
  }

  #onAnswered(entry: OutboxEntry, answer: Answer): Promise<void> {
    const { observer, clock } = this.#deps;
    observer?.onAnswered(entry, answer, clock.now() - entry.queuedAtMs);
    return this.#caretaker.onAnswered(entry, answer);
  }

  #advance(taskId: string, change: Change, options: { claimId?: string }): Promise<Task> {
    return this.#assignee.advance(taskId, change, { claimId: options.claimId ?? "" });
  }

  /** The worker that had claimed the task is gone, unless its claim was renewed meanwhile. */
  async #offerAgain(taskId: string): Promise<void> {
    await this.#ledger.run(taskId, async () => {
      const stored = await this.#ledger.load(taskId);
      if (!this.#offers.claims.hasLapsed(taskId)) return;
      const { task, claimId, awaitsAgent } = stored?.record ?? {};
      if (stored !== undefined && task !== undefined && !isTerminal(task.status)) {
        const waits = !isInterrupted(task.status);
        if (claimId !== "" || awaitsAgent !== waits) {
          await this.#ledger.amend(stored, { claimId: "", awaitsAgent: waits });
        }
      }
      this.#offers.releaseLapsed(taskId);
    });
  }

  /** Sends what is not kept, to a connected peer. */
  async #tell(peerId: string, body: EnvelopeBody): Promise<void> {
    const { transport, encode, clock } = this.#deps;
    const envelopeId = crypto.randomUUID();
    const bytes = encode({ envelopeId, timestampMs: clock.now(), trace: NO_TRACE, body });
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stop.signal]);
    try {
      const sent = transport.send(peerId, { envelopeId, bytes }, { signal });
      await this.#within(sent, peerId);
    } finally {
      over.abort();
    }
  }

  async #within<T>(
    work: Promise<T>,
    peerId: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<T> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, options.signal ?? this.#stop.signal]);
    const timeout = this.#deps.clock.sleep(TELL_TIMEOUT_MS, signal).then((): never => {
      throw new CodedError("unavailable", `${peerId} did not answer within ${TELL_TIMEOUT_MS / 1000} s`);
    });
    try {
      return await Promise.race([work, timeout]);
    } finally {
      over.abort();
      timeout.catch(() => {
        // It lost the race.
      });
      work.catch(() => {
        // Likewise.
      });
    }
  }

  #nextResponse(taskId: string): { promise: Promise<void>; leave: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#responses.get(taskId) ?? new Set();
    this.#responses.set(taskId, waiting.add(resolve));
    const leave = () => {
      waiting.delete(resolve);
      if (waiting.size === 0) this.#responses.delete(taskId);
    };
    return { promise, leave };
  }

  #responded(taskId: string): void {
    for (const resolve of this.#responses.get(taskId) ?? []) resolve();
  }
}

const nothingStreamed: StreamedArtifacts = {
  results: () => Promise.resolve([]),
  resolve: (_taskId, artifacts) => Promise.resolve(artifacts),
  deleteTasks: () => Promise.resolve(),
};
