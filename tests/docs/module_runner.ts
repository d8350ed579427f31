import { join } from "node:path";
import { readState } from "./terminal.ts";
import { TextLineStream } from "./text_line_stream.ts";

const FOLDER = import.meta.dirname ?? ".";
const CONFIG = join(FOLDER, "..", "..", "deno.json");
/** Longest time of a module. */
const TIMEOUT_MS = 90_000;

/** What a module has printed and how it ended. */
export interface ModuleOutcome {
  readonly printed: readonly string[];
  /** What it threw, with its stack. */
  readonly error?: string;
}

/** Runs modules one after the other in a process of their own, which starts with the first one and what is set then. */
export class ModuleHost implements AsyncDisposable {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  #process: HostProcess | undefined;

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Runs the module in `file`. One that does not come to its end is given up, with its process. */
  async run(file: string): Promise<ModuleOutcome> {
    this.#process ??= new HostProcess(this.#folder, this.#env);
    const outcome = await this.#process.ask(file);
    if (outcome !== undefined) return outcome;
    await this[Symbol.asyncDispose]();
    return { printed: [], error: `${file} did not come to its end` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }
}

class HostProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    const deno = ["run", "-A", "--no-check", "--quiet", "--config", CONFIG, join(FOLDER, "module_host.ts")];
    this.#child = new Deno.Command("bash", {
      args: ["-c", `${readState(env)}\nexec "$@"`, "bash", Deno.execPath(), ...deno],
      cwd: folder,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#answers = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
  }

  /** What became of the module in `file`; undefined when the process has ended, or took too long. */
  async ask(file: string): Promise<ModuleOutcome | undefined> {
    const timer = setTimeout(() => this.#kill(), TIMEOUT_MS);
    try {
      await this.#writer.write(new TextEncoder().encode(`${file}\n`));
      const { value } = await this.#answers.read();
      return value === undefined ? undefined : JSON.parse(value);
    } finally {
      clearTimeout(timer);
    }
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended by itself
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {}); // it has ended by itself
    const timer = setTimeout(() => this.#kill(), 10_000);
    await this.#answers.cancel();
    await this.#child.status;
    clearTimeout(timer);
  }
}
