import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type AgentRun, type AgentSays, type AgentTurn, isObject } from "./agent_run.ts";

/** The program that an agent is. */
export interface ProcessAgentOptions {
  /** The program; it is started without a shell. */
  command: string;
  /** Its arguments. */
  args?: readonly string[];
  /** Its working directory. Default: that of this process. */
  cwd?: string;
  /** Added to the environment of this process. */
  env?: Readonly<Record<string, string>>;
  /** What it writes to stderr, a line at a time. Default: it goes to the stderr of this process. */
  onStderr?: (line: string) => void;
}

/** An agent in another process. Disposing it ends the process. */
export interface ProcessAgent extends AsyncDisposable {
  /** Gives it a task. */
  readonly run: AgentRun;
}

/** Longest line the program may write, in characters. */
const MAX_LINE_CHARS = 16 * 1024 * 1024;
/** Lines about one task that may wait to be read; with more of them nothing is taken from the program until some are. */
const MAX_WAITING_LINES = 1_000;
/** How long the program has for ending when it is told to, in milliseconds. */
const END_MS = 5_000;

/**
 * An agent in a program of any language, such as a CrewAI crew in Python. The program is started with the first task and takes
 * many at once: each is one line of JSON on its stdin, `{"id", "text", "data"?, "sessionId", "taskId", "skill"?, "metadata"}`, and is
 * answered by lines on its stdout, `{"id", …}` with one of `delta`, `status`, `text`, `data`, `question` and `error`; `text`,
 * `data`, `question` and `error` end it. `{"id", "cancel": true}` on stdin says that nobody wants the answer any more. When
 * the program ends, the tasks it had fail, and it is started again with the next one.
 */
export function processAgent(options: ProcessAgentOptions): ProcessAgent {
  let worker: Worker | undefined;
  return {
    async *run(turn) {
      if (worker === undefined || worker.hasEnded) worker = new Worker(options);
      yield* worker.ask(turn);
    },
    [Symbol.asyncDispose]: async () => await worker?.end(),
  };
}

/** Where the lines about one task go. */
interface Asked {
  readonly lines: Record<string, unknown>[];
  wake: () => void;
}

/** One run of the program. */
class Worker {
  readonly #child: ChildProcess;
  readonly #asked = new Map<string, Asked>();
  #tellEnd = (): void => {};
  readonly #ended = new Promise<void>((resolve) => this.#tellEnd = resolve);
  #failure: Error | undefined;
  /** What it still says is taken at once: its end is told behind that. */
  #isEnding = false;

  constructor({ command, args = [], cwd, env = {}, onStderr }: ProcessAgentOptions) {
    this.#child = spawn(command, [...args], {
      ...(cwd !== undefined && { cwd }),
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", onStderr === undefined ? "inherit" : "pipe"],
    });
    this.#child.on("error", (error) => this.#end(new Error(`Cannot run ${command}: ${error.message}`)));
    this.#child.on("exit", () => {
      this.#isEnding = true;
      this.#flow();
    });
    this.#child.on("close", (code, signal) => {
      this.#end(new Error(`${command} ended (${signal ?? `exit code ${code}`}) while it had the task`));
    });
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on("error", () => {
      // It has ended: its close tells those who wait.
    });
    if (stdout !== null) createInterface({ input: stdout }).on("line", (line) => this.#take(line));
    if (stderr !== null && onStderr !== undefined) {
      createInterface({ input: stderr }).on("line", onStderr);
    }
  }

  get hasEnded(): boolean {
    return this.#failure !== undefined;
  }

  async *ask({ text, data, sessionId, signal, task }: AgentTurn): AsyncGenerator<AgentSays> {
    const id = crypto.randomUUID(); // a late word about an earlier turn is not for this one
    const asked: Asked = { lines: [], wake: () => {} };
    this.#asked.set(id, asked);
    const cancel = () => {
      this.#write({ id, cancel: true });
      asked.wake();
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      const { taskId, metadata, targetSkillId: skill } = task;
      this.#write({ id, text, data, sessionId, taskId, skill, metadata });
      while (true) {
        signal.throwIfAborted();
        const line = asked.lines.shift();
        this.#flow();
        if (line !== undefined) {
          const says = toSays(line);
          yield says;
          if (!("delta" in says || "status" in says)) return;
        } else if (this.#failure !== undefined) throw this.#failure;
        else await new Promise<void>((resolve) => asked.wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#asked.delete(id);
      this.#flow();
    }
  }

  /** Ends the program: its stdin first, then by signal. */
  async end(): Promise<void> {
    if (this.hasEnded) return;
    this.#isEnding = true;
    this.#flow();
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #write(line: Readonly<Record<string, unknown>>): void {
    if (!this.hasEnded) this.#child.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  #take(text: string): void {
    if (text.trim() === "") return;
    const line = text.length <= MAX_LINE_CHARS ? parsed(text) : undefined;
    const asked = this.#asked.get(String(line?.id ?? ""));
    // A line about no task is the program's own talk.
    if (line === undefined || asked === undefined) return;
    asked.lines.push(line);
    this.#flow();
    asked.wake();
  }

  /** Takes more from the program, unless too much about some task waits. */
  #flow(): void {
    const { stdout } = this.#child;
    const isFull = !this.#isEnding &&
      [...this.#asked.values()].some(({ lines }) => lines.length >= MAX_WAITING_LINES);
    if (isFull) stdout?.pause();
    else if (stdout?.isPaused()) stdout.resume();
  }

  #end(failure: Error): void {
    this.#failure ??= failure;
    for (const { wake } of this.#asked.values()) wake();
    this.#tellEnd();
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // not JSON: the program's own talk
  }
}

function toSays({ delta, status, text, data, question, error }: Record<string, unknown>): AgentSays {
  if (typeof delta === "string") return { delta };
  if (typeof status === "string") return { status };
  if (typeof text === "string") return { text };
  if (typeof question === "string") return { question };
  if (isObject(data)) return { data: JSON.parse(JSON.stringify(data)) };
  throw new Error(
    typeof error === "string" ? error : "The program answered without text, data, question or error",
  );
}
