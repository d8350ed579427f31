import { join } from "node:path";
import { Changes, PROGRAM_MS, within } from "./patience.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");

/** How a program ended and what it printed. */
export interface ProgramOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Environment that keeps a program on loopback and away from the user's own home. */
export function loopbackEnv(home: string): Record<string, string> {
  return {
    AGENTANYCAST_HOME: home,
    AGENTANYCAST_LISTEN_ADDRS: "/ip4/127.0.0.1/tcp/0",
    AGENTANYCAST_MDNS_INTERFACES: "127.0.0.1",
    NO_COLOR: "1",
  };
}

/** Where Deno keeps its cache, which otherwise follows HOME and XDG_CACHE_HOME. */
export async function denoDir(): Promise<string> {
  const { stdout } = await runProgram([Deno.execPath(), "info", "--json"]);
  return JSON.parse(stdout).denoDir;
}

/** Builds the one-file executable into `folder`; answers its path. */
export async function buildExecutable(folder: string): Promise<string> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(ROOT, "scripts/compile.ts"), "--out", folder],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`compile failed:\n${new TextDecoder().decode(stderr)}`);
  return join(folder, "agentanycast");
}

/** Runs a program to its end, which must come in time. */
export async function runProgram(
  command: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<ProgramOutput> {
  const [file = "", ...args] = command;
  const { env = {}, stdin = "" } = options;
  const child = new Deno.Command(file, { args, env, stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {/* it may end without reading */});
  await writer.close().catch(() => {/* likewise */});
  try {
    const { code, stdout, stderr } = await within(
      `the end of ${command.join(" ")}`,
      child.output(),
      PROGRAM_MS,
    );
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** A program that runs until it is told to stop, and the lines it prints on standard output. */
export class RunningProgram implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly lines: string[] = [];
  readonly #done: Promise<void>;
  readonly #errors: Promise<string>;
  readonly #changes = new Changes();
  #ended = false;

  constructor(command: readonly string[], env: Record<string, string> = {}) {
    const [file = "", ...args] = command;
    this.child = new Deno.Command(file, { args, env, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#done = this.#read();
    this.#errors = new Response(this.child.stderr).text();
  }

  /** The value of the first line `NAME=value`. */
  async value(name: string): Promise<string> {
    const line = () => this.lines.find((one) => one.startsWith(`${name}=`));
    await this.#changes.until(() => line() !== undefined || this.#ended, `a line ${name}=`, PROGRAM_MS);
    const found = line();
    if (found === undefined) throw new Error(`The program ended without ${name}=: ${await this.#errors}`);
    return found.slice(name.length + 1);
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
    if (!this.#ended) this.child.kill(signal);
    const { code } = await within(`the end of the program at ${signal}`, this.child.status, PROGRAM_MS);
    await this.#done;
    return { code, stderr: await this.#errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#changes.tell();
    }
    this.#ended = true;
    this.#changes.tell();
  }
}
