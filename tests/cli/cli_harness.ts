import { type CliDeps, runCli } from "../../cli/mod.ts";
import { PROGRAM_MS, within } from "../support/patience.ts";

/** What a run printed, and how it ended. */
export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A sink that keeps what is written to it. */
export function memorySink(isTerminal = false) {
  const sink = { text: "", isTerminal, write: (text: string) => void (sink.text += text) };
  return sink;
}

/** Bytes of `text` as stdin. */
export function textSource(text: string) {
  return { isTerminal: false, readable: ReadableStream.from([new TextEncoder().encode(text)]) };
}

/** Runs the command line in this process. */
export async function runInProcess(
  argv: readonly string[],
  options: { stdin?: string; name?: CliDeps["name"]; terminal?: boolean; signal?: AbortSignal } = {},
): Promise<CliRun> {
  const stdout = memorySink(options.terminal);
  const stderr = memorySink(options.terminal);
  const code = await runCli(argv, {
    name: options.name ?? "agentanycast",
    streams: { stdin: textSource(options.stdin ?? ""), stdout, stderr },
    colors: options.terminal ?? false,
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** Keeps a daemon on loopback and out of the user's folders. */
const ENVIRONMENT = {
  AGENTANYCAST_ENABLE_MDNS: "false",
  AGENTANYCAST_LISTEN_ADDRS: "/ip4/127.0.0.1/tcp/0",
  NO_COLOR: "1",
};

/** A run of the real program in a process of its own. */
export class ProgramRun implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: LineBuffer;
  readonly #stderr: LineBuffer;

  /** @param options.stdin what it reads; as a stream, until that ends. Default: nothing. */
  constructor(
    argv: readonly string[],
    options: { env?: Record<string, string>; stdin?: string | ReadableStream<Uint8Array> } = {},
  ) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, ...argv],
      env: { ...ENVIRONMENT, ...options.env },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = new LineBuffer(this.#child.stdout);
    this.#stderr = new LineBuffer(this.#child.stderr);
    if (options.stdin !== undefined) void this.#feed(options.stdin);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The first line of stdout, or the next one, that `pattern` matches. */
  stdoutLine(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#stdout.find(pattern);
  }

  stderrLine(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#stderr.find(pattern);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Closes the reading end of its stdout. */
  async closeStdout(): Promise<void> {
    await this.#stdout.cancel();
  }

  async ended(): Promise<CliRun> {
    const [{ code }, stdout, stderr] = await within(
      "the end of the program",
      Promise.all([this.#child.status, this.#stdout.whole(), this.#stderr.whole()]),
      PROGRAM_MS,
    );
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
  }

  async #feed(stdin: string | ReadableStream<Uint8Array>): Promise<void> {
    const source = typeof stdin === "string" ? textSource(stdin).readable : stdin;
    await source.pipeTo(this.#child.stdin).catch(() => {/* it may end without reading */});
  }
}

/** The lines of a stream, kept while it is read. */
class LineBuffer {
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #reading: Promise<void>;
  #text = "";
  #isOver = false;
  #wake = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    this.#reading = this.#read();
  }

  async find(pattern: RegExp): Promise<RegExpExecArray> {
    while (true) {
      const woken = this.#wake.promise;
      const found = this.#text.split("\n").slice(0, -1).map((line) => pattern.exec(line)).find(Boolean);
      if (found) return found;
      if (this.#isOver) throw new Error(`The program ended without ${pattern}. It printed:\n${this.#text}`);
      await within(`a line ${pattern} after\n${this.#text}`, woken, PROGRAM_MS);
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }

  async whole(): Promise<string> {
    await this.#reading;
    return this.#text;
  }

  async #read(): Promise<void> {
    for (let read = await this.#reader.read(); !read.done; read = await this.#reader.read()) {
      this.#text += read.value;
      this.#signal();
    }
    this.#isOver = true;
    this.#signal();
  }

  #signal(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

/** Runs the real program to its end. */
export async function runProgram(
  argv: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<CliRun> {
  await using program = new ProgramRun(argv, options);
  return await program.ended();
}
