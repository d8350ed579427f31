import { abortable } from "../core/abortable.ts";
import { MAX_TIMER_MS, startTimer } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import { NodeService, type SubscribeIncomingTasksResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import { Claims } from "./claims.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { DaemonTask, turnOf } from "./daemon_task.ts";
import { AgentAnycastError, TaskTimeoutError, toAgentAnycastError } from "./errors.ts";
import { fromWireTask } from "./convert.ts";
import { Outage } from "./outage.ts";
import type { Registration, TaskHandlers } from "./task_handlers.ts";

/** Tasks that are over and remembered, so that a late repetition is not handled again; the oldest are forgotten first. */
const MAX_PAST = 10_000;

/** Time between renewals of claims while handlers come to their end; the daemon waits for some seconds. */
const RENEWAL_MS = 1_000;

export interface IncomingTasksDeps {
  readonly daemon: DaemonClient;
  readonly handlers: TaskHandlers;
  /** For whom tasks are taken, and which. */
  readonly role: () => IncomingRole;
  /** Told what nobody can be thrown at. */
  readonly report: (message: string, error: unknown) => void;
}

/** Which tasks a node takes; see `SubscribeIncomingTasksRequest`. */
export interface IncomingRole {
  readonly agentId: string;
  readonly skillIds: readonly string[];
  readonly otherTasks: boolean;
}

export interface IncomingTasksOptions {
  /** How long the daemon may be gone while something is reported. */
  readonly reconnectMs: number;
  /** Takes only tasks that no other worker has. */
  readonly exclusive: boolean;
  /** With `exclusive`: most unfinished tasks at once. Default: what the handlers take. */
  readonly maxClaims: number | undefined;
  /** Ends the taking, and the handlers that are at work. */
  readonly signal: AbortSignal;
}

/**
 * Takes incoming tasks to their handlers until the signal fires; a lost connection is made again. While a handler's queue is
 * full nothing more is read: the daemon keeps those tasks, and offers them again when the connection is lost.
 */
export class IncomingTasks {
  /** Settles when nothing is taken any more. */
  readonly ended: Promise<void>;
  readonly #deps: IncomingTasksDeps;
  readonly #options: IncomingTasksOptions;
  /** Ends the handlers. */
  readonly #signal: AbortSignal;
  readonly #draining = new AbortController();
  /** Ends the taking. */
  readonly #taking: AbortSignal;
  /** Tasks whose handlers run; told when that may have become less. */
  readonly #working = new Set<DaemonTask>();
  #onLess: () => void = () => {};
  readonly #claims: Claims<DaemonTask>;
  /** Tasks that wait or are being handled; bounded by the queues of the handlers. */
  readonly #current = new Map<string, DaemonTask>();
  /** Tasks and the turn up to which they were handled. */
  readonly #past = new Map<string, number>();
  #hasComplained = false;
  /** The role that is subscribed with, and what ends the subscription. */
  #subscribed: { readonly role: IncomingRole; readonly end: AbortController } | undefined;

  constructor(deps: IncomingTasksDeps, options: IncomingTasksOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#signal = options.signal;
    this.#taking = AbortSignal.any([options.signal, this.#draining.signal]);
    this.#claims = new Claims({
      renew: (claimIds, signal) => deps.daemon.renewClaims(claimIds, signal),
      onLost: (task) => this.#forget(task),
      clock: deps.daemon.clock,
    }, options.signal);
    this.ended = this.#run();
  }

  /**
   * Takes nothing more, and comes back when no handler is at work, but for those that wait for an answer; when the grace is over or
   * `signal` fires at the latest.
   */
  async drain({ graceMs, signal }: { graceMs: number; signal: AbortSignal }): Promise<void> {
    this.#draining.abort(new AgentAnycastError("cancelled", "The node takes no more tasks"));
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), Math.min(graceMs, MAX_TIMER_MS));
    // The daemon keeps claims for a few seconds after the end of their subscription, unless they are renewed.
    const renewal = setInterval(() => void this.#claims.renew(), RENEWAL_MS);
    const isOver = AbortSignal.any([over.signal, signal, this.#signal]);
    try {
      while (!isOver.aborted && [...this.#working].some((task) => !task.isAsking)) {
        await abortable(new Promise<void>((resolve) => this.#onLess = resolve), isOver).catch(() => {
          // the handlers have had their time: the loop ends
        });
      }
    } finally {
      clearTimeout(timer);
      clearInterval(renewal);
    }
  }

  /** Subscribes anew when the node takes other tasks than before. */
  roleChanged(): void {
    const { role, end } = this.#subscribed ?? {};
    if (role !== undefined && JSON.stringify(role) !== JSON.stringify(this.#deps.role())) end?.abort();
  }

  async #run(): Promise<void> {
    const { daemon, report } = this.#deps;
    const outage = new Outage(Infinity);
    while (!this.#taking.aborted) {
      let cause: unknown;
      const end = new AbortController();
      this.#subscribed = { role: this.#deps.role(), end };
      try {
        const deliveries = daemon.stream(
          NodeService.method.subscribeIncomingTasks,
          this.#request(this.#subscribed.role),
          AbortSignal.any([this.#taking, end.signal]),
        );
        for await (const delivery of deliveries) {
          outage.over();
          await this.#accept(delivery);
        }
      } catch (error) {
        cause = error;
      }
      if (this.#taking.aborted) break;
      if (end.signal.aborted) continue;
      report("No incoming tasks for now: the connection to the daemon is lost", cause);
      await outage.pause(cause, this.#taking).catch(() => {}); // rejects only when the loop ends anyway
      await this.#claims.renew(); // they lapse soon once their subscription has ended
    }
    await this.#claims.ended();
  }

  #request({ agentId, skillIds, otherTasks }: IncomingRole) {
    const { exclusive, maxClaims = this.#deps.handlers.places } = this.#options;
    const role = { agentId, skillIds: [...skillIds], otherTasks };
    return exclusive ? { ...role, exclusive, maxClaims: Math.min(maxClaims, 2 ** 31 - 1) } : role;
  }

  /** Comes back when the task waits for its handler, or is rejected. Throws the reason of the signal. */
  async #accept(delivery: SubscribeIncomingTasksResponse): Promise<void> {
    const { daemon, handlers } = this.#deps;
    const { reconnectMs, exclusive } = this.#options;
    if (exclusive && delivery.claimId === "") return this.#complain();
    if (this.#isKnown(delivery)) return;
    const task = new DaemonTask(daemon, delivery, {
      lifetime: this.#signal,
      reconnectMs,
      onAsk: () => this.#onLess(),
    });
    this.#current.set(task.taskId, task);
    if (exclusive) this.#claims.hold(task, delivery.claimLeaseMs);
    const registration = handlers.find(task.targetSkillId);
    if (registration === undefined) await abortable(this.#reject(task), this.#taking);
    else await registration.enqueue(() => this.#handle(task, registration), this.#taking);
  }

  /** Whether the task is at work here, which may wait for what comes with this offer, or was handled as it is. */
  #isKnown(delivery: SubscribeIncomingTasksResponse): boolean {
    const task = fromWireTask(delivery.task);
    const current = this.#current.get(task.taskId);
    if (current !== undefined && (!current.settled || turnOf(task) <= current.turn)) {
      current.offer(delivery);
      return true;
    }
    // Under a claim nothing comes twice: the daemon has it from this worker's hands again.
    return delivery.claimId === "" && (this.#past.get(task.taskId) ?? -1) >= turnOf(task);
  }

  /** A daemon that knows no claims gives every task to everybody, which is what an exclusive node must not have. */
  #complain(): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#deps.report(
      "Incoming tasks are left alone",
      new AgentAnycastError(
        "unimplemented",
        "the daemon gives no claims on tasks: use a newer one, or leave out `exclusive`",
      ),
    );
  }

  async #reject(task: DaemonTask): Promise<void> {
    const reason = `No handler for ${task.targetSkillId ?? "tasks without a skill"}`;
    await task.reject(reason).catch((error) => this.#giveUp(task, error));
    this.#remember(task);
  }

  async #handle(task: DaemonTask, registration: Registration): Promise<void> {
    if (this.#taking.aborted) return this.#claims.release(task); // the daemon delivers it to the next subscriber
    if (this.#current.get(task.taskId) !== task) return; // its claim was lost while it waited
    const onStop = () => task.abort(this.#signal.reason);
    this.#signal.addEventListener("abort", onStop, { once: true });
    this.#working.add(task);
    try {
      if (await task.begin()) {
        await this.#runHandler(task, registration);
        await task.end();
      } else this.#claims.release(task);
    } catch (error) {
      if (this.#signal.aborted) return;
      if (task.settled) {
        this.#deps.report(`The handler of task ${task.taskId} threw after it ended the task`, error);
      } else await task.fail(errorMessage(error)).catch((failure) => this.#giveUp(task, failure));
    } finally {
      this.#signal.removeEventListener("abort", onStop);
      this.#remember(task);
      this.#working.delete(task);
      this.#onLess();
    }
  }

  /** Forgets the task, so that the daemon may deliver it again; unless it is over, for instance cancelled. */
  #giveUp(task: DaemonTask, error: unknown): void {
    this.#claims.release(task);
    if (this.#signal.aborted || toAgentAnycastError(error).code === "failed_precondition") return;
    this.#forget(task);
    this.#deps.report(`Task ${task.taskId} could not be answered`, error);
  }

  #forget(task: DaemonTask): boolean {
    return this.#current.get(task.taskId) === task && this.#current.delete(task.taskId);
  }

  /** Takes note that the task is over, unless it was given up. */
  #remember(task: DaemonTask): void {
    if (!this.#forget(task)) return;
    this.#past.delete(task.taskId);
    this.#past.set(task.taskId, task.turn);
    for (const oldest of this.#past.keys()) {
      if (this.#past.size <= MAX_PAST) break;
      this.#past.delete(oldest);
    }
  }

  /** Runs the handler within its time; when that is up the task's signal fires and this throws. */
  async #runHandler(task: DaemonTask, registration: Registration): Promise<void> {
    const { timeoutMs } = registration;
    if (timeoutMs === undefined) return await this.#deps.handlers.run(task, registration);
    const limit = new AbortController();
    const expire = () => {
      const error = new TaskTimeoutError(`The agent did not finish within ${timeoutMs} ms`);
      limit.abort(error);
      task.abort(error);
    };
    using _timer = startTimer(this.#deps.daemon.clock, timeoutMs, expire);
    await abortable(this.#deps.handlers.run(task, registration), limit.signal);
  }
}
