import { abortable } from "../core/abortable.ts";
import { AgentAnycastError } from "./errors.ts";
import type { IncomingTask } from "./incoming_task.ts";
import { type OptionNames, refuseUnknown } from "./option_names.ts";
import { createInputCheck, type InputCheck, type InputSchema } from "./task_input.ts";

/** Handles one incoming task. An error it throws fails the task with its message. */
export type TaskHandler<Input = unknown> = (task: IncomingTask<Input>) => void | Promise<void>;

/** Does something around a handler; `next` runs the rest, once. */
export type TaskMiddleware = (task: IncomingTask, next: () => Promise<void>) => void | Promise<void>;

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

/** How a handler is used whose input is checked. */
export interface CheckedTaskHandlerOptions<Input> extends TaskHandlerOptions {
  /**
   * What the input must be; a task whose input is not is rejected. `card`, which needs `skill`, stands for the `inputSchema` of
   * the skill on the node's card.
   */
  input: InputSchema<Input>;
}

const NAMES: OptionNames<CheckedTaskHandlerOptions<unknown>> = {
  skill: true,
  timeoutMs: true,
  maxConcurrent: true,
  input: true,
};

/** A task that can be given the input its schema makes. */
interface CheckableTask extends IncomingTask {
  input: unknown;
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
  #check: InputCheck | undefined;
  #onRoom: () => void = () => {};

  constructor(
    readonly handler: TaskHandler,
    { skill, timeoutMs, maxConcurrent = 16 }: TaskHandlerOptions,
    readonly makeCheck: () => Promise<InputCheck | undefined> = () => Promise.resolve(undefined),
  ) {
    if (!(maxConcurrent >= 1)) throw new RangeError(`maxConcurrent must be at least 1, got ${maxConcurrent}`);
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw new RangeError(`timeoutMs must be positive, got ${timeoutMs}`);
    }
    this.skill = skill;
    this.timeoutMs = timeoutMs;
    this.maxConcurrent = maxConcurrent;
  }

  /** Makes the check of inputs anew. Throws `invalid_argument` when its schema cannot be used. */
  async prepare(): Promise<InputCheck | undefined> {
    return this.#check = await this.makeCheck();
  }

  /** The check of inputs, when there is one. Throws as `prepare` does. */
  async check(): Promise<InputCheck | undefined> {
    return this.#check ?? await this.prepare();
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

/** The handlers of a node, and what is around them. */
export class TaskHandlers {
  readonly #all = new Set<Registration>();
  readonly #middleware: TaskMiddleware[] = [];

  /** @param schemaOf the `inputSchema` of a skill on the node's card. */
  constructor(readonly schemaOf: (skillId: string) => string | undefined = () => undefined) {}

  get size(): number {
    return this.#all.size;
  }

  /** Tasks that all handlers together take at once. */
  get places(): number {
    return [...this.#all].reduce((sum, { maxConcurrent }) => sum + maxConcurrent, 0);
  }

  /** What the handlers are for, beside the skills of the node's card when one of them takes any task. */
  roleWith(cardSkills: readonly string[]): { skillIds: string[]; otherTasks: boolean } {
    const all = [...this.#all];
    const otherTasks = all.some(({ skill }) => skill === undefined);
    const skillIds = all.flatMap(({ skill }) => skill === undefined ? [] : [skill]);
    return { skillIds: [...new Set([...skillIds, ...otherTasks ? cardSkills : []])], otherTasks };
  }

  /** Returns what takes the handler out again. Throws `TypeError` for the schema `card` without a skill. */
  add<Input>(
    handler: TaskHandler<Input>,
    options: TaskHandlerOptions & { input?: InputSchema<Input> },
  ): () => void {
    refuseUnknown(options, NAMES, "onTask()");
    const { input, skill } = options;
    if (input === "card" && skill === undefined) {
      throw new TypeError("The input schema of the card needs a skill: set skill too");
    }
    const makeCheck = input === undefined
      ? undefined
      : () => createInputCheck(input, () => this.#cardSchema(skill ?? ""));
    // The handler meets no input but those that its schema has passed.
    const registration = new Registration(handler as TaskHandler, options, makeCheck);
    this.#all.add(registration);
    return () => void this.#all.delete(registration);
  }

  use(middleware: TaskMiddleware): void {
    this.#middleware.push(middleware);
  }

  /** The first handler for the skill, else the first for anything. */
  find(skill: string | undefined): Registration | undefined {
    const all = [...this.#all];
    return all.find((one) => one.skill !== undefined && one.skill === skill) ??
      all.find((one) => one.skill === undefined);
  }

  /** Makes all checks of inputs anew. Throws `invalid_argument` when a schema cannot be used. */
  async prepare(): Promise<void> {
    for (const registration of this.#all) await registration.prepare();
  }

  /** Runs the handler inside of the middleware; a task whose input does not fit is rejected instead. */
  async run(task: CheckableTask, registration: Registration): Promise<void> {
    const handle = async () => {
      const checked = await (await registration.check())?.(task.input);
      if (checked !== undefined && "fault" in checked) {
        return await task.reject(`The input does not fit its schema: ${checked.fault}`);
      }
      if (checked !== undefined) task.input = checked.value;
      await registration.handler(task);
    };
    await this.#middleware.reduceRight<() => Promise<void>>((next, middleware) => async () => {
      await middleware(task, once(next));
    }, handle)();
  }

  #cardSchema(skill: string): string {
    const schema = this.schemaOf(skill);
    if (schema !== undefined && schema !== "") return schema;
    throw new AgentAnycastError(
      "invalid_argument",
      `Cannot check inputs of ${skill}: the node's card has no inputSchema for it`,
    );
  }
}

function once(next: () => Promise<void>): () => Promise<void> {
  let isCalled = false;
  return async () => {
    if (isCalled) throw new TypeError("A middleware called next() twice");
    isCalled = true;
    await next();
  };
}
