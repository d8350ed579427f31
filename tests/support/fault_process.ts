import { RunningProgram } from "./program.ts";

/** How to start a process of a fault test. */
export interface FaultProcessOptions {
  /** Who it is in the records, such as `receiver daemon`. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Record<string, string>;
  /** It is up when it has printed a line `<readyLine>=…`. */
  readonly readyLine: string;
}

/** A process that is killed and started again many times. */
export class FaultProcess implements AsyncDisposable {
  readonly name: string;
  readonly #options: FaultProcessOptions;
  #program: RunningProgram | undefined;

  constructor(options: FaultProcessOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** The id of the process; undefined while it is down. */
  get pid(): number | undefined {
    return this.#program?.child.pid;
  }

  /** Starts it and comes back when it is up. */
  async start(): Promise<void> {
    const { command, env, readyLine } = this.#options;
    this.#program = new RunningProgram(command, env);
    await this.#program.value(readyLine);
  }

  /** Kills it without warning (SIGKILL); answers its id when it is gone. */
  async kill(): Promise<number | undefined> {
    const program = this.#program;
    this.#program = undefined;
    await program?.stop("SIGKILL");
    return program?.child.pid;
  }

  /** Sends a signal to the running process. */
  signal(signal: Deno.Signal): void {
    this.#program?.child.kill(signal);
  }

  /** Asks it to end (SIGTERM) and waits for that; throws when it takes longer than `timeoutMs` or ends badly. */
  async finish(timeoutMs: number): Promise<void> {
    const program = this.#program;
    if (program === undefined) return;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      program.child.kill("SIGKILL");
    }, timeoutMs);
    const { code, stderr } = await program.stop("SIGTERM");
    clearTimeout(timer);
    this.#program = undefined;
    const end = isLate ? `has not ended within ${timeoutMs} ms` : `ended with ${code}`;
    if (isLate || code !== 0) throw new Error(`${this.name} ${end}: ${stderr.slice(-2000)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
