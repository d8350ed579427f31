import { CodedError } from "../core/errors.ts";
import { type Change, reasonOf, reportOf } from "./changes.ts";
import type { Artifact, Task } from "./model.ts";
import type { Offers } from "./offers.ts";
import type { EnvelopeTransport, StoredTask } from "./ports.ts";
import { canTransition, isTerminal } from "./state_machine.ts";
import type { TaskLedger } from "./task_ledger.ts";
import { isRepetition, withMessageId } from "./task_record.ts";
import { checkMessage } from "./validation.ts";

export interface AssigneeDeps {
  ledger: TaskLedger;
  offers: Offers;
  transport: EnvelopeTransport;
  /** What was streamed for the task, for its results. */
  streamed: (task: Task) => Promise<readonly Artifact[]>;
}

/** What the receiving side does with its tasks: each change is reported to the sender. */
export class Assignee {
  readonly #deps: AssigneeDeps;

  constructor(deps: AssigneeDeps) {
    this.#deps = deps;
  }

  /** A change by an agent, under its claim when it has one. @throws CodedError `not_found`, `failed_precondition`. */
  async advance(taskId: string, change: Change, options: { claimId: string }): Promise<Task> {
    if (change.message !== undefined) checkMessage(change.message);
    const { ledger, offers } = this.#deps;
    return await ledger.run(taskId, async () => {
      const stored = await ledger.get(taskId);
      const { task, awaitsAgent } = stored.record;
      if (task.direction === "outbound") throw notOurs(task, change);
      // Said again by an agent whose connection broke before it was told.
      const isAgain = isRepetition(stored.record, change);
      if (isTerminal(task.status) && isAgain) return task;
      if (isTerminal(task.status)) throw illegal(task, change);
      offers.claims.check(task, options.claimId);
      if (isAgain) return task;
      const taken = { awaitsAgent: false, claimId: options.claimId };
      if (task.status === "working" && change.status === "working" && change.message === undefined) {
        return awaitsAgent ? (await ledger.amend(stored, taken)).record.task : task;
      }
      return await this.apply(stored, change, taken);
    });
  }

  /** Applies a change to a received task and reports it. The task is locked. @throws CodedError `failed_precondition`. */
  async apply(
    stored: StoredTask,
    given: Change,
    options: Parameters<TaskLedger["change"]>[2] = {},
  ): Promise<Task> {
    const { ledger, streamed, transport } = this.#deps;
    const { task } = stored.record;
    const isProgress = task.status === "working" && given.status === "working";
    if (!isProgress && !canTransition(task.status, given.status)) throw illegal(task, given);
    const framing = transport.framingOf(task.peerId);
    const change = { ...given, message: withMessageId(given.message), errorMessage: reasonOf(given) };
    if (change.status !== "completed") {
      const changed = await ledger.change(stored, change, {
        ...options,
        envelopes: reportOf(task, change, framing),
      });
      return changed.record.task;
    }
    const own = change.artifacts ?? [];
    const referred = (await streamed(task)).filter((one) =>
      !own.some(({ artifactId }) => artifactId === one.artifactId)
    );
    const complete = { ...change, artifacts: [...own, ...referred] };
    const changed = await ledger.change(stored, complete, {
      ...options,
      envelopes: reportOf(task, complete, framing),
    });
    return changed.record.task;
  }
}

function notOurs(task: Task, { status }: Change): CodedError {
  return new CodedError(
    "failed_precondition",
    `Cannot report ${status} on task ${task.taskId}: only ${task.peerId}, which it was sent to, can; cancel it instead`,
  );
}

function illegal(task: Task, { status }: Change): CodedError {
  return new CodedError(
    "failed_precondition",
    `Cannot change task ${task.taskId} from ${task.status} to ${status}` +
      (isTerminal(task.status) ? ": it has ended" : ""),
  );
}
