import { TextLineStream } from "./text_line_stream.ts";

/** Longest time of a block's commands, in seconds. */
const PATIENCE_S = 90;
/** Between the outputs of two commands. */
const MARK = "\u001e";

/** How a command of a script ended, and what it printed. */
export interface Outcome {
  readonly code: number;
  /** On standard output. */
  readonly lines: readonly string[];
  /** On standard error. */
  readonly errors: readonly string[];
}

/** The command that goes where the scripts of a terminal have gone, and sets what they have set. */
export function readState(env: Readonly<Record<string, string>>): string {
  return `set -a; if [ -f '${stateOf(env)}' ]; then . '${stateOf(env)}'; fi; set +a`;
}

function stateOf(env: Readonly<Record<string, string>>): string {
  return `${env["HOME"]}/.state`;
}

/** Where commands run: a folder and its environment, which one script hands on to the next. */
export class Terminal implements AsyncDisposable {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #running: RunningCommand[] = [];

  /** @param env all that the commands find in their environment. */
  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Runs `commands`, each whatever became of the one before. What they set and where they go holds for the next ones too. */
  async run(commands: readonly string[]): Promise<Outcome[]> {
    const script = [
      `trap 'kill $(jobs -p) 2>/dev/null' EXIT`, // what would hold the output open
      ...commands.flatMap((
        command,
      ) => [`{ ${command}\n}`, `printf '${MARK}%s${MARK}' "$?" | tee /dev/stderr`]),
      `{ set | grep -E '^[A-Z][A-Z0-9_]*=' | grep -vE '^(BASH|EUID|PPID|UID|SHELLOPTS|PIPESTATUS)'`,
      `printf 'cd %q\\n' "$PWD"; } > '${stateOf(this.#env)}'`,
    ].join("\n");
    const { code, stdout, stderr } = await this.#spawn(["timeout", "-k", "2", String(PATIENCE_S)], script)
      .output();
    const [printed, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).split(MARK));
    return commands.map((_, i) => ({
      code: Number(printed?.[2 * i + 1] ?? (code === 0 ? 1 : code)),
      lines: (printed?.[2 * i] ?? "").split("\n"),
      errors: (errors?.[2 * i] ?? "").split("\n"),
    }));
  }

  /** Starts `command`, which runs until this terminal is disposed. */
  start(command: string): RunningCommand {
    const running = new RunningCommand(this.#spawn(["timeout", "-k", "5", "300"], `exec ${command}`));
    this.#running.push(running);
    return running;
  }

  #spawn(bound: readonly string[], script: string): Deno.ChildProcess {
    const [file = "", ...args] = [...bound, "bash", "-c", `${readState(this.#env)}\n${script}`];
    return new Deno.Command(file, {
      args,
      cwd: this.#folder,
      env: this.#env,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.reverse().map((one) => one[Symbol.asyncDispose]()));
  }
}

/** A command that goes on, and the lines it has printed. */
export class RunningCommand implements AsyncDisposable {
  readonly lines: string[] = [];
  /** The same on standard error. */
  readonly errors: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #wake = Promise.withResolvers<void>();
  #ended = false;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#read = Promise.all([
      this.#follow(child.stdout, this.lines),
      this.#follow(child.stderr, this.errors),
    ]);
  }

  /** Waits until `done` says so, or no more can come, or `timeoutMs` are over; answers what `done` said last. */
  async until(done: () => boolean, timeoutMs: number): Promise<boolean> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake.resolve();
    }, timeoutMs);
    try {
      while (!done()) {
        if (late || this.#ended) return done();
        await this.#wake.promise;
      }
      return true;
    } finally {
      clearTimeout(timer);
    }
  }

  async #follow(bytes: ReadableStream<Uint8Array<ArrayBuffer>>, into: string[]): Promise<void> {
    for await (const line of bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      into.push(line);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
    this.#ended = true;
    this.#wake.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // it has ended by itself
    }
    await this.#child.status;
    await this.#read;
  }
}
