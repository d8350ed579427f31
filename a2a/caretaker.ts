import type { Clock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Assignee } from "./assignee.ts";
import type { Delivery } from "./delivery.ts";
import type { EnvelopeBody, OutboxEntry, Task, TaskRecord } from "./model.ts";
import type { Offers } from "./offers.ts";
import type { Originator } from "./originator.ts";
import type { Answer, EnvelopeTransport, StoredTask, TaskStore } from "./ports.ts";
import type { Questions } from "./questions.ts";
import { isInterrupted, isTerminal } from "./state_machine.ts";
import type { Router } from "./router.ts";
import type { TaskLedger } from "./task_ledger.ts";
import { DEADLINE_REASON, isUnclaimed } from "./task_record.ts";

/** How long tasks may stand still, and how long ended ones are kept. All in milliseconds. */
export interface CaretakerOptions {
  /** A received task that no agent takes up, or whose agent is gone, fails after this time. Default 24 h. */
  agentTimeoutMs: number;
  /** A task of which the other side has not said anything for this time fails. Default 7 days. */
  idleTimeoutMs: number;
  /** The assignee of a sent task is asked how it stands when it has not said anything for this time. Default 5 min. */
  refreshAfterMs: number;
  /** How long the assignee has for ending a task whose deadline is over, before its sender does. Default 5 s. */
  deadlineGraceMs: number;
  /** Ended tasks are kept for this time. Default 30 days. */
  keepMs: number;
  /** Of more tasks than this the oldest ended ones are removed. Default 100,000. */
  keepTasks: number;
  /** A removed received task is remembered for this time. Default 48 h, which is longer than envelopes are kept. */
  rememberMs: number;
  /** Pause between two removals of ended tasks. Default 10 min. */
  sweepMs: number;
}

export interface CaretakerDeps {
  ledger: TaskLedger;
  store: Pick<TaskStore, "removeEnded">;
  originator: Originator;
  assignee: Assignee;
  offers: Offers;
  delivery: Delivery;
  transport: EnvelopeTransport;
  questions: Questions;
  router: Pick<Router, "moveOn" | "hasOther" | "noteTaken" | "onRecord">;
  /** Fires when the engine ends. */
  stop: AbortSignal;
  clock: Clock;
  logger: Logger;
  tell: (peerId: string, body: EnvelopeBody) => Promise<void>;
  /** Ended tasks are gone. */
  onRemoved: (taskIds: readonly string[]) => Promise<void>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
export const CARETAKER_DEFAULTS: CaretakerOptions = {
  agentTimeoutMs: DAY_MS,
  idleTimeoutMs: 7 * DAY_MS,
  refreshAfterMs: 5 * MINUTE_MS,
  deadlineGraceMs: 5_000,
  keepMs: 30 * DAY_MS,
  keepTasks: 100_000,
  rememberMs: 2 * DAY_MS,
  sweepMs: 10 * MINUTE_MS,
};

/** How long a 1.0 peer, which does not confirm a cancellation, gets for a result that is already on its way. */
const LEGACY_GRACE_MS = 1_000;
/** A task of which nothing was heard for so many times `refreshAfterMs` has its assignee dialed. */
const SILENT_TIMES = 3;
/** Peers dialed at once for the sake of silent tasks, and peers whose last dial is remembered. */
const MAX_DIALS = 8;
const MAX_DIALED = 1_000;

/** Sees to it that every task comes to an end, and that ended ones go some day. */
export class Caretaker {
  readonly #deps: CaretakerDeps;
  readonly #options: CaretakerOptions;
  #dials = 0;
  /** When a peer was last dialed because it was silent, in milliseconds since the Unix epoch; oldest first. */
  readonly #dialedAtMs = new Map<string, number>();

  constructor(deps: CaretakerDeps, options: CaretakerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** When the task has to be looked at again, in milliseconds since the Unix epoch. */
  dueOf({ task }: TaskRecord): number {
    const { agentTimeoutMs, idleTimeoutMs, refreshAfterMs, deadlineGraceMs } = this.#options;
    const { direction, status, updatedAtMs, deadlineMs, cancelRequested } = task;
    const nowMs = this.#deps.clock.now();
    if (direction === "inbound") {
      const deadline = deadlineMs === 0 ? Infinity : deadlineMs;
      return Math.min(deadline, updatedAtMs + (isInterrupted(status) ? idleTimeoutMs : agentTimeoutMs));
    }
    const deadline = deadlineMs === 0 ? Infinity : deadlineMs > nowMs ? deadlineMs : nowMs + deadlineGraceMs;
    const step = cancelRequested ? Math.min(refreshAfterMs, MINUTE_MS) : refreshAfterMs;
    return Math.min(deadline, Math.max(updatedAtMs, nowMs) + step);
  }

  /** Looks after a task whose time has come. */
  async onDue(taskId: string): Promise<void> {
    const { ledger } = this.#deps;
    await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      if (stored === undefined || isTerminal(stored.record.task.status)) return;
      if (stored.record.task.direction === "inbound") await this.#lookAfterReceived(stored);
      else await this.#lookAfterSent(stored);
    });
  }

  /** What an answer says about the task. */
  async onAnswered(entry: OutboxEntry, answer: Answer): Promise<void> {
    const { clock, logger, transport, stop } = this.#deps;
    const { type, peerId, taskId } = entry;
    const refused = answer.outcome === "refused";
    if (refused) {
      logger.warn("Envelope refused by the peer", {
        peer: peerId,
        envelope: type,
        task: taskId,
        reason: answer.reason,
      });
    }
    // A further message that is not taken changes nothing: its task goes on as it stands with its assignee.
    if (type === "send_task" && entry.lane === "requests") {
      if (!refused) return this.#deps.router.noteTaken(entry);
      if (await this.#moveOn(entry, answer.reason)) return;
      return await this.#end(taskId, { status: "rejected", reason: answer.reason });
    }
    if (type !== "cancel" || !(refused || transport.framingOf(peerId) === "1.0")) return;
    // Cut short by the engine's end, the envelope stays in the store and is sent again after the next start.
    if (!refused) await clock.sleep(LEGACY_GRACE_MS, stop);
    await this.#end(taskId, undefined);
  }

  /**
   * A new task that its peer has no room for, and that was called off meanwhile, ends here: it is not there. One that names a
   * skill goes to another agent, if there is one.
   */
  async onBusy(
    { type, taskId, sequence }: OutboxEntry,
    { mayBeThere }: { mayBeThere: boolean },
  ): Promise<boolean> {
    if (type !== "send_task") return false;
    const { ledger, router } = this.#deps;
    return await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      if (stored === undefined || isTerminal(stored.record.task.status)) return true;
      if (stored.record.sendSequence !== sequence) return false;
      if (!stored.record.task.cancelRequested) {
        if (mayBeThere || !await router.hasOther(stored.record)) return false;
        await router.moveOn(stored, undefined);
        return true;
      }
      await this.#endLocked(taskId, undefined);
      return true;
    });
  }

  /** The time of an undelivered envelope is over. */
  async onExpired(entry: OutboxEntry, { mayBeThere }: { mayBeThere: boolean }): Promise<void> {
    const { type, peerId, taskId } = entry;
    this.#deps.logger.warn("Envelope given up", { peer: peerId, task: taskId, envelope: type });
    const reason = `Could not be delivered: ${peerId} did not acknowledge it in time`;
    if (type === "send_task" && !mayBeThere && await this.#moveOn(entry, "it could not be reached")) return;
    if (type === "send_task") await this.#end(taskId, { status: "failed", reason }, { tell: mayBeThere });
    if (type === "cancel") await this.#end(taskId, undefined);
  }

  /** Gives a task that names a skill, and that this peer has not taken, to another agent; false: it is none. */
  async #moveOn({ taskId, peerId, sequence }: OutboxEntry, reason: string): Promise<boolean> {
    const { ledger, router } = this.#deps;
    return await ledger.run(taskId, async () => {
      const stored = await ledger.load(taskId);
      if (stored === undefined || !isUnclaimed(stored.record)) return false;
      const { task, sendSequence } = stored.record;
      if (task.peerId === peerId && sendSequence === sequence) await router.moveOn(stored, reason);
      return true;
    });
  }

  /** Removes ended tasks from time to time, until `signal` fires. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { clock, store, logger, onRemoved } = this.#deps;
    const { keepMs, keepTasks, rememberMs, sweepMs } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(sweepMs, signal).catch(() => {
        // Woken by the signal: the loop ends.
      });
      if (signal.aborted) return;
      const nowMs = clock.now();
      const retention = {
        nowMs,
        endedBeforeMs: nowMs - keepMs,
        maxTasks: keepTasks,
        rememberUntilMs: nowMs + rememberMs,
        signal,
      };
      try {
        for await (const taskIds of store.removeEnded(retention)) {
          await onRemoved(taskIds);
          logger.debug("Removed ended tasks", { count: taskIds.length });
        }
      } catch (error) {
        logger.error("Ended tasks could not be removed; trying again later", { error });
      }
    }
  }

  async #lookAfterReceived(stored: StoredTask): Promise<void> {
    const { ledger, assignee, offers, clock } = this.#deps;
    const { agentTimeoutMs, idleTimeoutMs } = this.#options;
    const { task, awaitsAgent } = stored.record;
    const nowMs = clock.now();
    const fail = (reason: string) => assignee.apply(stored, { status: "failed", errorMessage: reason });
    if (task.deadlineMs !== 0 && nowMs >= task.deadlineMs) return void await fail(DEADLINE_REASON);
    if (isInterrupted(task.status)) {
      if (nowMs < task.updatedAtMs + idleTimeoutMs) {
        return ledger.look(task.taskId, task.updatedAtMs + idleTimeoutMs);
      }
      return void await fail(`No answer came within ${inWords(idleTimeoutMs)}`);
    }
    const goneSinceMs = awaitsAgent ? task.updatedAtMs : offers.agentGoneSinceMs;
    const goneMs = goneSinceMs === undefined ? 0 : nowMs - Math.max(goneSinceMs, task.updatedAtMs);
    if (goneMs < agentTimeoutMs) return ledger.look(task.taskId, nowMs + agentTimeoutMs - goneMs);
    await fail(
      awaitsAgent
        ? `No agent took the task up within ${inWords(agentTimeoutMs)}`
        : `The agent that worked on the task did not come back within ${inWords(agentTimeoutMs)}`,
    );
  }

  async #lookAfterSent(stored: StoredTask): Promise<void> {
    const { ledger, originator, clock } = this.#deps;
    const { idleTimeoutMs } = this.#options;
    const { record } = stored;
    const { task } = record;
    const nowMs = clock.now();
    const isLate = task.deadlineMs !== 0 && nowMs >= task.deadlineMs;
    if (isLate && nowMs < task.deadlineMs + this.#options.deadlineGraceMs) {
      const { status } = await originator.callOff(stored, { status: "failed", reason: DEADLINE_REASON });
      if (isTerminal(status)) return;
      return ledger.look(task.taskId, task.deadlineMs + this.#options.deadlineGraceMs);
    }
    if (isLate) return void await originator.end(stored, { status: "failed", reason: DEADLINE_REASON });
    if (nowMs >= task.updatedAtMs + idleTimeoutMs) {
      const reason = `${task.peerId} has not said anything for ${inWords(idleTimeoutMs)}`;
      const asked = await originator.callOff(stored, { status: "failed", reason });
      if (!isTerminal(asked.status)) await this.#endLocked(task.taskId, { status: "failed", reason });
      return;
    }
    if (task.peerId !== "") this.#ask(task);
    else this.#deps.router.onRecord(record); // giving it to an agent may have failed
    ledger.look(task.taskId, Math.min(this.dueOf(record), task.updatedAtMs + idleTimeoutMs));
  }

  /** Asks how the task stands, without waiting for it; a peer of which nothing was heard for long is dialed. */
  #ask({ peerId, taskId, updatedAtMs }: Task): void {
    const { transport, questions, logger, clock } = this.#deps;
    const ask = async () => {
      if (transport.isConnected(peerId)) {
        if (transport.framingOf(peerId) !== "1.0") await questions.ask(taskId, { onlySettled: true });
      } else if (clock.now() - updatedAtMs >= SILENT_TIMES * this.#options.refreshAfterMs) {
        if (await this.#dial(peerId) && transport.framingOf(peerId) !== "1.0") {
          await questions.ask(taskId, { onlySettled: true });
        }
      }
    };
    ask().catch((error) => {
      logger.debug("A peer could not be asked for a task", {
        peer: peerId,
        task: taskId,
        error: errorMessage(error),
      });
    });
  }

  /** Dials the peer, unless it was dialed lately or too many others are: its tasks are looked at again. */
  async #dial(peerId: string): Promise<boolean> {
    const { transport, clock, stop } = this.#deps;
    const agoMs = Math.abs(clock.now() - (this.#dialedAtMs.get(peerId) ?? -Infinity));
    if (this.#dials >= MAX_DIALS || agoMs < this.#options.refreshAfterMs) return false;
    this.#dialedAtMs.delete(peerId);
    this.#dialedAtMs.set(peerId, clock.now());
    const [oldest] = this.#dialedAtMs.keys();
    if (oldest !== undefined && this.#dialedAtMs.size > MAX_DIALED) this.#dialedAtMs.delete(oldest);
    this.#dials++;
    try {
      await transport.connect(peerId, { signal: stop });
      return true;
    } finally {
      this.#dials--;
    }
  }

  /** How a task that was called off ends when its assignee has no say in it. */
  #calledOff({ task }: TaskRecord): { status: "canceled" | "failed"; reason: string } {
    return task.deadlineMs !== 0 && this.#deps.clock.now() >= task.deadlineMs
      ? { status: "failed", reason: DEADLINE_REASON }
      : { status: "canceled", reason: "" };
  }

  /** Ends a sent task, unless it has ended; `end` undefined: as it was called off. */
  async #end(
    taskId: string,
    end: { status: "failed" | "rejected"; reason: string } | undefined,
    options: { tell?: boolean } = {},
  ): Promise<void> {
    await this.#deps.ledger.run(taskId, () => this.#endLocked(taskId, end, options));
  }

  /** @param options.tell an assignee that has the task, and may not know of its end, is told. */

  async #endLocked(
    taskId: string,
    end: { status: "failed" | "rejected"; reason: string } | undefined,
    { tell = false }: { tell?: boolean } = {},
  ): Promise<void> {
    const { ledger, originator } = this.#deps;
    const stored = await ledger.load(taskId);
    if (stored === undefined || isTerminal(stored.record.task.status)) return;
    const { status, reason } = end ?? this.#calledOff(stored.record);
    const envelopes: EnvelopeBody[] = tell
      ? [{ type: "cancel", taskId, status: status === "canceled" ? status : "failed", reason }]
      : [];
    await originator.end(stored, { status, reason }, { envelopes });
  }
}

function inWords(durationMs: number): string {
  const hours = durationMs / HOUR_MS;
  return hours >= 1 ? `${Math.round(hours * 10) / 10} h` : `${Math.round(durationMs / 100) / 10} s`;
}
