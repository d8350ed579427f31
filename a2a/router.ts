import type { Clock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Delivery } from "./delivery.ts";
import type { OutboxEntry, Task, TaskRecord, TaskRoute } from "./model.ts";
import { LOCAL_CALLER, toSendTask } from "./originator.ts";
import type {
  AdmitSend,
  Candidates,
  EnvelopeTransport,
  RouteFinder,
  RouteQuery,
  StoredTask,
} from "./ports.ts";
import { reachFirst } from "./reach_first.ts";
import { isTerminal } from "./state_machine.ts";
import type { TaskLedger } from "./task_ledger.ts";
import { isUnclaimed } from "./task_record.ts";

/** How long looking for an agent may take. All in milliseconds. */
export interface RouterOptions {
  /** A task for which no agent can be found or reached fails after this time. Default 60 s. */
  findTimeoutMs: number;
  /** An agent that may have a task and does not say so within this time has it fail. Default 5 min. */
  answerTimeoutMs: number;
}

export interface RouterDeps {
  ledger: TaskLedger;
  delivery: Delivery;
  transport: EnvelopeTransport;
  clock: Clock;
  logger: Logger;
  /** Undefined: tasks cannot be sent to skills. */
  finder: RouteFinder | undefined;
  admitSend: AdmitSend;
  /** Fires when the engine ends. */
  stop: AbortSignal;
}

export const ROUTER_DEFAULTS: RouterOptions = { findTimeoutMs: 60_000, answerTimeoutMs: 5 * 60_000 };

/** How long a sender waits for knowing that nobody offers a skill. */
const CHECK_MS = 3_000;
/** How long nobody may offer a skill that was offered before its tasks fail: an agent may be on its way back. */
const ABSENCE_MS = 5_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
/** Agents that may refuse a task before it fails. */
const MAX_REFUSALS = 16;
const MAX_REASON_LENGTH = 200;
/** Tasks that may be without an agent at once. */
const MAX_PLACING = 1_000;

/**
 * Gives tasks that name a skill to agents, one after the other until one has taken the task. A task is only given to an agent
 * that is connected, and to another one only when it is certain that the former one does not have it: it never has two.
 */
export class Router {
  readonly #deps: RouterDeps;
  readonly #options: RouterOptions;
  readonly #startedAtMs: number;
  /** Tasks that are being given to an agent. */
  readonly #placing = new Map<string, Promise<void>>();
  /** Of those, the ones that have come back meanwhile. */
  readonly #again = new Set<string>();
  /** The peers that have a task and have not said anything about it, by task. */
  readonly #assigned = new Map<string, string>();
  /** Who has an unfinished task, by task, and how many each has. */
  readonly #agents = new Map<string, string>();
  readonly #loads = new Map<string, number>();
  /** Peers that had no room for a task, by task. */
  readonly #busy = new Map<string, Set<string>>();

  constructor(deps: RouterDeps, options: RouterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#startedAtMs = deps.clock.now();
  }

  /** Takes charge of a task that no agent has; to be called with every record. */
  onRecord(record: TaskRecord): void {
    const { route, task: { taskId, peerId, status } } = record;
    if (route === undefined) return;
    this.#count(taskId, isTerminal(status) ? "" : peerId);
    this.#assigned.delete(taskId);
    if (!isUnclaimed(record)) return void this.#busy.delete(taskId);
    if (peerId !== "") return void this.#assigned.set(taskId, peerId);
    if (this.#deps.stop.aborted) return;
    if (this.#placing.has(taskId)) return void this.#again.add(taskId);
    const placing = this.#place(taskId).catch((error) => {
      this.#deps.logger.error("A task could not be given to an agent", { task: taskId, error });
    }).finally(() => {
      this.#placing.delete(taskId);
      if (this.#again.delete(taskId)) this.#lookAgain(taskId);
    });
    this.#placing.set(taskId, placing);
  }

  /**
   * Refuses a task for a skill that nobody offers; when somebody who may know of it cannot be asked, the task is taken.
   * @throws CodedError `not_found`, `unimplemented`, `resource_exhausted`.
   */
  async checkOffered(query: RouteQuery): Promise<void> {
    if (this.#deps.finder === undefined) {
      throw new CodedError("unimplemented", "This node cannot look for agents: name a peer id");
    }
    if (this.#placing.size >= MAX_PLACING) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot look for more agents at once: ${MAX_PLACING} tasks wait for one; try again later`,
      );
    }
    const { peerIds, unasked } = await this.#find(query, { timeoutMs: CHECK_MS, isTurn: false });
    if (peerIds.length === 0 && unasked === "") throw new CodedError("not_found", noneOffers(query));
  }

  /** A peer could not be reached: its tasks that have not left go to others. */
  peerUnreachable(peerId: string): void {
    this.#deps.finder?.note(peerId, "unreachable");
    for (const [taskId, at] of this.#assigned) {
      if (at !== peerId) continue;
      this.#takeBack(taskId, peerId).catch((error) => {
        this.#deps.logger.error("A task could not be taken back", { task: taskId, peer: peerId, error });
      });
    }
  }

  /** The peer of an answered request has the task. */
  noteTaken({ taskId, peerId }: OutboxEntry): void {
    if (this.#assigned.get(taskId) === peerId) this.#deps.finder?.note(peerId, "taken");
  }

  /** Whether another agent is known for a task whose peer has no room for it. */
  async hasOther(record: TaskRecord): Promise<boolean> {
    const { route, task } = record;
    if (route === undefined || !isUnclaimed(record)) return false;
    this.#deps.finder?.note(task.peerId, "busy");
    const busy = this.#busy.get(task.taskId) ?? new Set();
    if (busy.has(task.peerId)) return false; // it has come back to it: it may wait there
    this.#busy.set(task.taskId, busy.add(task.peerId));
    const { peerIds } = await this.#find({ ...route, contextId: task.contextId }, {
      timeoutMs: CHECK_MS,
      isTurn: false,
    });
    const { allowed } = await this.#judge(task, this.#untried(peerIds, route));
    return allowed.some((peerId) => !busy.has(peerId));
  }

  /**
   * Takes a task from its peer, which does not have it or has rejected it, and looks for another one. The task is locked.
   * @param reason why the peer has not taken it: it does not get it again; undefined: it might.
   */
  async moveOn(
    stored: StoredTask,
    reason: string | undefined,
    options: { envelopeId?: string } = {},
  ): Promise<void> {
    const { ledger, delivery, logger, finder } = this.#deps;
    const { task, sendSequence: sequence, route } = stored.record;
    if (route === undefined) throw new TypeError(`Task ${task.taskId} is not for a skill`);
    const { peerId, taskId } = task;
    logger.info("A task goes to another agent", { task: taskId, peer: peerId, reason: reason ?? "no room" });
    if (reason !== undefined) finder?.note(peerId, "refused");
    const refusal = { peerId, reason: (reason || "it gave no reason").slice(0, MAX_REASON_LENGTH) };
    const refusals = reason === undefined ? route.refusals : [...route.refusals, refusal];
    const unsent = await delivery.withdraw(task, sequence, { evenSent: true });
    try {
      const step = {
        ...options,
        peerId: "",
        route: { ...route, refusals },
        withdrawn: [unsent ?? { peerId, lane: "requests" as const, sequence }],
      };
      if (task.status === "submitted") await ledger.amend(stored, step);
      else await ledger.change(stored, { status: "submitted" }, step);
    } catch (error) {
      if (unsent !== undefined) delivery.release(peerId, sequence);
      throw error;
    }
  }

  /** Unfinished tasks at a peer. */
  loadOf(peerId: string): number {
    return this.#loads.get(peerId) ?? 0;
  }

  /** Resolves when nothing is looked for any more; the signal has fired. */
  async close(): Promise<void> {
    while (this.#placing.size > 0) await Promise.all(this.#placing.values());
  }

  #count(taskId: string, peerId: string): void {
    const before = this.#agents.get(taskId) ?? "";
    if (before === peerId) return;
    const left = this.loadOf(before) - 1;
    if (left > 0) this.#loads.set(before, left);
    else this.#loads.delete(before);
    this.#agents.delete(taskId);
    if (peerId === "") return;
    this.#agents.set(taskId, peerId);
    this.#loads.set(peerId, this.loadOf(peerId) + 1);
  }

  async #takeBack(taskId: string, peerId: string): Promise<void> {
    const { ledger, delivery } = this.#deps;
    await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      if (stored === undefined || !isUnclaimed(stored.record)) return void this.#assigned.delete(taskId);
      const { task, sendSequence } = stored.record;
      if (task.peerId !== peerId) return;
      const unsent = await delivery.withdraw(task, sendSequence);
      if (unsent === undefined) return; // the peer may have it
      try {
        await ledger.amend(stored, { peerId: "", withdrawn: [unsent] });
      } catch (error) {
        delivery.release(peerId, sendSequence);
        throw error;
      }
    });
  }

  async #place(taskId: string): Promise<void> {
    const { ledger, clock, stop } = this.#deps;
    const firstAtMs = clock.now();
    for (let pauseMs = FIRST_PAUSE_MS; !stop.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const record = (await ledger.load(taskId))?.record;
      if (record === undefined || !isUnplaced(record)) return;
      const { route, task } = record;
      const found = await this.#find({ ...route, contextId: task.contextId }, {
        timeoutMs: this.#options.findTimeoutMs,
        isTurn: true,
      });
      const busy = this.#busy.get(taskId);
      const { allowed, denied } = await this.#judge(task, this.#untried(found.peerIds, route));
      const left = allowed.filter((peerId) => pauseMs > FIRST_PAUSE_MS || busy?.has(peerId) !== true);
      const given = await this.#give(taskId, left);
      const unreached = given === "" ? denied : given;
      if (unreached === undefined) return;
      const nowMs = clock.now();
      const isOver = nowMs >= Math.max(task.createdAtMs, this.#startedAtMs) + this.#options.findTimeoutMs ||
        route.refusals.length >= MAX_REFUSALS;
      const isAbsent = left.length === 0 && found.unasked === "" &&
        (route.refusals.length > 0 || nowMs >= firstAtMs + ABSENCE_MS);
      if (isOver || isAbsent) return await this.#end(taskId, found, unreached);
      await clock.sleep(pauseMs / 2 + Math.random() * pauseMs / 2, stop).catch(() => {
        // The loop ends.
      });
    }
  }

  /** Those of `peerIds` to whom the task may be sent, and why the last other one may not have it. */
  async #judge(
    { taskId, targetSkillId: skillId, caller = LOCAL_CALLER }: Task,
    peerIds: readonly string[],
  ): Promise<{ allowed: readonly string[]; denied: string }> {
    const allowed: string[] = [];
    let denied = "";
    for (const peerId of peerIds) {
      const refusal = await this.#deps.admitSend({
        ...{ caller, peerId, taskId, skillId },
        ...{ openTasks: 0, isChoice: true },
      });
      if (refusal === undefined) allowed.push(peerId);
      else denied = `it may not be sent to ${peerId}: ${refusal.reason}`;
    }
    return { allowed, denied };
  }

  /** Gives the task to the first peer that can be reached; undefined when that is done, else why it was not. */
  async #give(taskId: string, peerIds: readonly string[]): Promise<string | undefined> {
    const { transport, finder, clock, stop } = this.#deps;
    let left = peerIds;
    while (left.length > 0) {
      const reached = await reachFirst({ transport, clock, signal: stop }, left);
      for (const peerId of reached.unreachable) finder?.note(peerId, "unreachable");
      const { peerId } = reached;
      if (peerId === undefined) return reached.reason;
      if (await this.#assign(taskId, peerId)) return undefined;
      left = left.filter((one) => one !== peerId && !reached.unreachable.includes(one));
    }
    return "";
  }

  /** False when too much waits for the peer. */
  async #assign(taskId: string, peerId: string): Promise<boolean> {
    const { ledger, logger } = this.#deps;
    return await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      const [message] = stored?.record.task.messages ?? [];
      if (stored === undefined || message === undefined || !isUnplaced(stored.record)) return true;
      const envelopes = [toSendTask(stored.record.task, message)];
      try {
        await ledger.amend(stored, { peerId, envelopes, ttlMs: this.#options.answerTimeoutMs });
      } catch (error) {
        if (!(error instanceof CodedError && error.code === "resource_exhausted")) throw error;
        logger.debug("Too much waits for an agent", { task: taskId, peer: peerId, error });
        return false;
      }
      return true;
    });
  }

  async #end(taskId: string, { unasked }: Candidates, unreached: string): Promise<void> {
    const { ledger } = this.#deps;
    await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      if (stored === undefined || !isUnplaced(stored.record)) return;
      const { route } = stored.record;
      const reasons = [
        ...route.refusals.map(({ peerId, reason }) => `${peerId} refused it: ${reason}`),
        ...[unreached, unasked].filter(Boolean),
      ];
      const isRefused = unreached === "" && route.refusals.length > 0;
      const errorMessage = reasons.length === 0
        ? noneOffers(route)
        : `No agent took the task for the skill ${route.skillId}: ${reasons.join("; ")}`;
      await ledger.change(stored, { status: isRefused ? "rejected" : "failed", errorMessage });
    });
  }

  /** What the finder says within `timeoutMs`; what keeps it from saying anything is told as `unasked`. */
  async #find(
    query: RouteQuery,
    { timeoutMs, isTurn }: { timeoutMs: number; isTurn: boolean },
  ): Promise<Candidates> {
    const { finder, clock, stop } = this.#deps;
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, stop]);
    const late = clock.sleep(timeoutMs, signal).then(() => {
      throw new CodedError("deadline_exceeded", `looking for agents took more than ${timeoutMs / 1000} s`);
    });
    try {
      const found = finder?.find(query, { signal, isTurn }) ??
        { peerIds: [], unasked: "nobody can be asked" };
      return await Promise.race([found, late]);
    } catch (error) {
      return { peerIds: [], unasked: errorMessage(error) };
    } finally {
      late.catch(() => {
        // It lost the race.
      });
      over.abort();
    }
  }

  #untried(peerIds: readonly string[], { refusals }: TaskRoute): readonly string[] {
    const { transport } = this.#deps;
    return peerIds.filter((peerId) =>
      peerId !== transport.peerId && !refusals.some((refusal) => refusal.peerId === peerId)
    );
  }

  #lookAgain(taskId: string): void {
    const { ledger, logger } = this.#deps;
    ledger.load(taskId).then((stored) => stored && this.onRecord(stored.record)).catch((error) => {
      logger.error("A task could not be looked at", { task: taskId, error });
    });
  }
}

function isUnplaced(record: TaskRecord): record is TaskRecord & { readonly route: TaskRoute } {
  return isUnclaimed(record) && record.task.peerId === "";
}

function noneOffers({ skillId, tags }: Pick<TaskRoute, "skillId" | "tags">): string {
  const labels = Object.entries(tags).map(([key, value]) => `${key}=${value}`).join(", ");
  return `No agent offers the skill ${skillId}${labels && ` with ${labels}`}: ` +
    "see what is there with `agentanycast discover`, and that the agent runs and is in the same network";
}
