import { abortable } from "../core/abortable.ts";
import { startTimer } from "../core/clock.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { AgentAnycastError, TaskTimeoutError } from "./errors.ts";
import type { AskOptions } from "./incoming_task.ts";
import { isInterrupted, isTerminal, type Message, type Task, type TaskStatus } from "./model.ts";
import { watchTask } from "./task_watch.ts";

/** What a question waits under besides its own options. */
export interface QuestionOptions extends AskOptions {
  /** Fires when the handler is to stop. */
  readonly handler: AbortSignal;
}

/** A question of a handler to the sender of its task, until the answer is there. Whoever makes one closes it. */
export class Question {
  readonly #daemon: DaemonClient;
  readonly #taskId: string;
  readonly #before: number;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #timer: Disposable | undefined;
  #onAnswer: (task: Task) => void = () => {};
  readonly #answered = new Promise<Task>((resolve) => this.#onAnswer = resolve);
  /** How the task ended before the answer, when it did. */
  endedAs: TaskStatus | undefined;

  /** @param task as it was before the question. */
  constructor(daemon: DaemonClient, task: Task, { timeoutMs, signal, handler }: QuestionOptions) {
    this.#daemon = daemon;
    this.#taskId = task.taskId;
    this.#before = answers(task).length;
    const expired = () => this.#over.abort(new TaskTimeoutError(`No answer within ${timeoutMs} ms`));
    this.#timer = timeoutMs === undefined ? undefined : startTimer(daemon.clock, timeoutMs, expired);
    this.#signal = AbortSignal.any([this.#over.signal, handler, ...signal ? [signal] : []]);
  }

  /** Takes a snapshot of the task that may have the answer. */
  offer(task: Task): void {
    if (answers(task).length > this.#before) this.#onAnswer(task);
  }

  /** The task with the answer. Throws `TaskTimeoutError`, or `cancelled` when the task ends or a signal fires. */
  async answered(): Promise<Task> {
    const watching = this.#watch();
    watching.catch(() => {/* when nobody waits any more */});
    const first = Promise.race([this.#answered, watching]);
    try {
      return await abortable(first, this.#signal);
    } catch (error) {
      const { reason } = this.#signal;
      if (!this.#signal.aborted || reason instanceof AgentAnycastError) throw reason ?? error;
      throw new AgentAnycastError("cancelled", "Nobody waits for the answer any more", { cause: reason });
    }
  }

  /** The answer in a task that has it. */
  answerIn(task: Task): Message {
    const answer = answers(task)[this.#before];
    if (answer !== undefined) return answer;
    throw new AgentAnycastError("data_loss", `Task ${this.#taskId} has lost the answer`);
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#over.abort();
  }

  /** Looks for the answer itself: the daemon offers it to whoever is first, and not again to who has the task. */
  async #watch(): Promise<Task> {
    const options = { signal: this.#signal, reconnectMs: Infinity };
    for await (const { status } of watchTask(this.#daemon, this.#taskId, options)) {
      if (isTerminal(status)) this.endedAs = status;
      else if (!isInterrupted(status)) {
        this.offer(await this.#daemon.getTask(this.#taskId, { signal: this.#signal }));
      }
    }
    throw new AgentAnycastError("cancelled", `Task ${this.#taskId} is ${this.endedAs}: there is no answer`);
  }
}

function answers({ messages }: Task): readonly Message[] {
  return messages.filter(({ role }) => role === "user");
}
