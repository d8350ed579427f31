import type { Clock } from "../core/clock.ts";
import type { EnvelopeBody, Task, TaskRecord } from "./model.ts";
import type { TaskStore } from "./ports.ts";
import { isTerminal } from "./state_machine.ts";
import type { TaskLedger } from "./task_ledger.ts";

/** After this time no answer to a question comes any more. */
const QUESTION_MS = 60_000;
/** Tasks whose questions are remembered; the answer to an older one can only end its task. */
const MAX_TASKS = 10_000;
/** Of one task. Later ones are not remembered: an answer is then judged by the earlier ones, which is stricter. */
const MAX_QUESTIONS = 16;

interface Question {
  readonly generation: number;
  /** The assignee had answered all that it was sent of the task. */
  readonly isSettled: boolean;
  readonly askedAtMs: number;
}

export interface QuestionsDeps {
  ledger: TaskLedger;
  store: Pick<TaskStore, "outbox">;
  clock: Clock;
  tell: (peerId: string, body: EnvelopeBody) => Promise<void>;
}

/** What assignees of sent tasks were asked, and whether an answer is about the task as it stands now. */
export class Questions {
  readonly #deps: QuestionsDeps;
  /** Oldest first; an answer does not say which question it answers, so it is judged by all of its task. */
  readonly #open = new Map<string, readonly Question[]>();

  constructor(deps: QuestionsDeps) {
    this.#deps = deps;
  }

  /**
   * Asks a connected peer how the task stands; the answer comes as an envelope. The task must not be locked by the caller.
   * @param options.onlySettled not while something of the task waits for the peer. Throws what sending throws.
   */
  async ask(taskId: string, { onlySettled }: { onlySettled: boolean }): Promise<void> {
    const { ledger, tell } = this.#deps;
    const peerId = await ledger.run(taskId, async () => {
      const record = (await ledger.load(taskId))?.record;
      if (record === undefined || isTerminal(record.task.status)) return undefined;
      const isSettled = await this.#isSettled(record);
      if (!isSettled && onlySettled) return undefined;
      this.#note(record.task, isSettled);
      return record.task.peerId;
    });
    if (peerId !== undefined) await tell(peerId, { type: "get_task", taskId });
  }

  /** Takes an answer: whether the task has not moved since it was asked for. The task is locked. */
  takeAnswer({ taskId, generation }: Task): boolean {
    const questions = this.#recent(taskId);
    const left = questions.slice(1);
    if (left.length > 0) this.#open.set(taskId, left);
    else this.#open.delete(taskId);
    return questions.length > 0 &&
      questions.every((one) => one.isSettled && one.generation === generation);
  }

  #note({ taskId, generation }: Task, isSettled: boolean): void {
    const earlier = this.#recent(taskId);
    const question = { generation, isSettled, askedAtMs: this.#deps.clock.now() };
    this.#open.delete(taskId);
    this.#open.set(taskId, earlier.length < MAX_QUESTIONS ? [...earlier, question] : earlier);
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size > MAX_TASKS) this.#open.delete(oldest);
  }

  #recent(taskId: string): readonly Question[] {
    const afterMs = this.#deps.clock.now() - QUESTION_MS;
    return (this.#open.get(taskId) ?? []).filter(({ askedAtMs }) => askedAtMs > afterMs);
  }

  /** Whether the last message of the task is not in the outbox any more. */
  async #isSettled({ task, sendSequence }: TaskRecord): Promise<boolean> {
    const { store } = this.#deps;
    for (const lane of ["requests", "turns"] as const) {
      const [next] = await store.outbox({ peerId: task.peerId, lane }, { limit: 1, after: sendSequence - 1 });
      if (next?.sequence === sendSequence) return false;
    }
    return true;
  }
}
