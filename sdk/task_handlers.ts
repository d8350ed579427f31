import { abortable } from "../core/abortable.ts";
import type { IncomingTask } from "./incoming_task.ts";

/** Handles one incoming task. An error it throws fails the task with its message. */
export type TaskHandler = (task: IncomingTask) => void | Promise<void>;

/** How a handler is used. */
export interface TaskHandlerOptions {
  /** Only tasks for this skill. Default: all tasks that no such handler takes. */
  skill?: string;
  /** Fails the task when the handler takes longer than this many milliseconds. Default: no limit. */
  timeoutMs?: number;
  /**
   * Tasks handled at once. Default 16. 1,000 more wait here; beyond those the daemon keeps all incoming tasks, also the ones
   * for other handlers, until a place is free.
   */
  maxConcurrent?: number;
}

/** Tasks that wait for one handler; more are left with the daemon. */
const MAX_WAITING = 1_000;

/** One handler and the tasks it is at. */
export class Registration {
  readonly skill: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly maxConcurrent: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  #onRoom: () => void = () => {};

  constructor(readonly handler: TaskHandler, { skill, timeoutMs, maxConcurrent = 16 }: TaskHandlerOptions) {
    if (!(maxConcurrent >= 1)) throw new RangeError(`maxConcurrent must be at least 1, got ${maxConcurrent}`);
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw new RangeError(`timeoutMs must be positive, got ${timeoutMs}`);
    }
    this.skill = skill;
    this.timeoutMs = timeoutMs;
    this.maxConcurrent = maxConcurrent;
  }

  /**
   * Runs `work`, which must not throw, when its turn comes; comes back when it is in the queue. To be called again only after
   * that. Throws the reason of `signal` when that fires while the queue is full.
   */
  async enqueue(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      await abortable(new Promise<void>((resolve) => this.#onRoom = resolve), signal);
    }
    this.#waiting.push(work);
    void this.#next();
  }

  async #next(): Promise<void> {
    if (this.#running >= this.maxConcurrent) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    this.#onRoom();
    this.#running++;
    try {
      await work();
    } finally {
      this.#running--;
      void this.#next();
    }
  }
}

/** The handlers of a node. */
export class TaskHandlers {
  readonly #all = new Set<Registration>();

  get size(): number {
    return this.#all.size;
  }

  /** Tasks that all handlers together take at once. */
  get places(): number {
    return [...this.#all].reduce((sum, { maxConcurrent }) => sum + maxConcurrent, 0);
  }

  /** Returns what takes the handler out again. */
  add(handler: TaskHandler, options: TaskHandlerOptions): () => void {
    const registration = new Registration(handler, options);
    this.#all.add(registration);
    return () => void this.#all.delete(registration);
  }

  /** The first handler for the skill, else the first for anything. */
  find(skill: string | undefined): Registration | undefined {
    const all = [...this.#all];
    return all.find((one) => one.skill !== undefined && one.skill === skill) ??
      all.find((one) => one.skill === undefined);
  }
}
