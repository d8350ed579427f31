import { basename, join } from "node:path";
import { resolveConfig } from "../../core/config.ts";
import { errorMessage } from "../../core/errors.ts";
import { readOriginCredentials } from "../../core/origin_credentials.ts";
import { resolveSettings } from "../../core/resolve_settings.ts";
import { RELAY_ENV_PREFIX, RELAY_SETTINGS } from "../../core/settings/relay.ts";
import { freePort } from "../support/free_port.ts";
import { ModuleHost } from "./module_runner.ts";
import type { Block, Page } from "./page.ts";
import { whyNotRun } from "./page.ts";
import { Terminal } from "./terminal.ts";
import { Bindings, type Command, difference, readCommands } from "./transcript.ts";

/** How long what a command goes on to print may take. */
const OUTPUT_TIMEOUT_MS = 60_000;

/** What became of the blocks of a session. */
export interface SessionReport {
  /** Each begins with page and line. */
  readonly failures: string[];
  ran: number;
  /** Blocks that say why they cannot be run. */
  readonly notRun: { where: string; why: string }[];
}

/** What a session has been given. */
export interface SessionOptions {
  /** Its own folder, which is the user's folder of all that runs in it. */
  readonly home: string;
  /** The whole environment of what runs in it. */
  readonly env: Readonly<Record<string, string>>;
  /** Told what came of each block, to write pages by. */
  readonly show?: (where: string, lines: readonly string[]) => void;
}

/** Runs the blocks of `pages` from top to bottom, in one place. A block that fails does not keep the next one from running. */
export async function runSession(pages: readonly Page[], options: SessionOptions): Promise<SessionReport> {
  await using session = new Session(options);
  for (const page of pages) for (const block of page.blocks) await session.run(block);
  return session.report;
}

/** What a TypeScript block has printed. */
interface Printed {
  readonly lines: readonly string[];
}

class Session implements AsyncDisposable {
  readonly report: SessionReport = { failures: [], ran: 0, notRun: [] };
  readonly #options: SessionOptions;
  readonly #bindings = new Bindings();
  readonly #standIns = new Map<string, string>();
  readonly #terminal: Terminal;
  readonly #modules: ModuleHost;
  #printed: Printed = { lines: [] };

  constructor(options: SessionOptions) {
    this.#options = options;
    for (const address of ["0.0.0.0", "127.0.0.1"]) this.#bindings.bind(address, "127.0.0.1");
    this.#terminal = new Terminal(options.home, options.env);
    this.#modules = new ModuleHost(options.home, options.env);
  }

  async run(block: Block): Promise<void> {
    const why = whyNotRun(block);
    if (why !== undefined) {
      if (why !== "") this.report.notRun.push({ where: `${block.page}:${block.line}`, why });
      return;
    }
    if (block.language === "stands in") {
      const [shown = "", real = ""] = block.lines;
      this.#standIns.set(shown, real);
      return;
    }
    this.report.ran++;
    try {
      await this.#run(block);
    } catch (error) {
      this.#fail(block, block.line, errorMessage(error));
    }
  }

  async #run(block: Block): Promise<void> {
    const code = this.#toReal(block.lines.join("\n"));
    if (block.marks.has("file")) await this.#write(block, code);
    if (block.marks.has("prints")) return this.#compare(block, block.lines, this.#printed.lines);
    switch (block.language) {
      case "sh":
      case "console":
        return await this.#runCommands(block);
      case "ts":
        if (!block.marks.has("file")) await this.#runModule(block);
        return;
      case "toml":
        return await this.#checkToml(code, block.marks.get("config") ?? "daemon");
      case "json":
        return void JSON.parse(code);
      default:
        if (!block.marks.has("file")) throw new Error(`nothing is known about blocks of ${block.language}`);
    }
  }

  async #runCommands(block: Block): Promise<void> {
    const isTranscript = block.language === "console";
    const whole: Command = { line: block.line, text: block.lines.join("\n"), shown: [] };
    const commands = isTranscript ? readCommands(block.lines, block.line) : [whole];
    const last = block.marks.has("keeps running") ? commands.pop() : undefined;
    const texts = commands.map(({ text }) => this.#toReal(isTranscript ? text : `set -e\n${text}\nset +e`));
    const outcomes = texts.length === 0 ? [] : await this.#terminal.run(texts);
    const exit = Number(block.marks.get("exit") ?? 0);
    for (const [i, command] of commands.entries()) {
      const { code, lines, errors } = outcomes[i] ?? { code: -1, lines: [], errors: [] };
      const wanted = i === commands.length - 1 ? exit : 0;
      const all = [...lines, ...errors].filter((line) => line !== "");
      if (code !== wanted) {
        this.#fail(block, command.line, `ended with ${code}, not ${wanted}:\n  ${all.join("\n  ")}`);
      } else if (isTranscript) this.#compare(block, command.shown, wanted === 0 ? lines : all, command.line);
    }
    if (last !== undefined) await this.#start(block, last);
  }

  /** Starts what goes on, and waits until it has printed what is shown. */
  async #start(block: Block, { line, text, shown }: Command): Promise<void> {
    const running = this.#terminal.start(this.#toReal(text));
    const isShown = () => difference([...shown, "…"], running.lines, this.#bindings) === undefined;
    if (await running.until(isShown, OUTPUT_TIMEOUT_MS)) return;
    this.#compare(block, [...shown, "…"], running.lines, line);
    this.#fail(block, line, `on standard error:\n  ${running.errors.join("\n  ")}`);
  }

  async #runModule(block: Block): Promise<void> {
    const name = `${basename(block.page, ".md")}_${block.line}.ts`;
    const file = join(this.#options.home, name);
    await Deno.writeTextFile(file, this.#toReal(block.module));
    const { printed, error } = await this.#modules.run(file);
    this.#printed = { lines: printed };
    if (error === undefined) return;
    const at = new RegExp(`${name}:(\\d+)`).exec(error)?.[1];
    this.#fail(block, Number(at ?? block.line), [error, ...printed].join("\n"));
  }

  #compare(block: Block, shown: readonly string[], came: readonly string[], line = block.line - 1): void {
    this.#options.show?.(`${block.page}:${line}`, came);
    const found = difference(shown.map((one) => this.#toHome(one)), came, this.#bindings);
    if (found !== undefined) {
      this.#fail(block, line + 1 + found.line, `${found.problem}\n  all of it:\n  ${came.join("\n  ")}`);
    }
  }

  async #write(block: Block, code: string): Promise<void> {
    const file = this.#inHome(block.marks.get("file") ?? "");
    await Deno.mkdir(join(file, ".."), { recursive: true });
    const text = block.language === "ts" ? this.#toReal(block.module) : code;
    await Deno.writeTextFile(file, `${text}\n`, { mode: 0o600 });
  }

  #inHome(path: string): string {
    return path.startsWith("~/") ? join(this.#options.home, path.slice(2)) : join(this.#options.home, path);
  }

  /** `code` with what stands for something replaced, and ports that are free now. */
  #toReal(shown: string): string {
    let code = shown;
    for (const [from, to] of this.#standIns) code = code.replaceAll(from, to);
    for (const [, port = ""] of code.matchAll(LOCAL_PORT)) {
      if (this.#bindings.get(port) === undefined) this.#bindings.bind(port, String(freePort()));
    }
    return this.#toHome(this.#bindings.apply(code));
  }

  #toHome(text: string): string {
    return text.replaceAll("/home/me", this.#options.home);
  }

  /** Throws what is wrong with a configuration file. */
  async #checkToml(text: string, kind: string): Promise<void> {
    const sources = { flags: {}, env: {}, userHome: this.#options.home, readFile: () => text };
    if (kind === "wrong") return;
    if (kind === "daemon") resolveConfig(sources);
    else if (kind === "relay") resolveSettings(RELAY_SETTINGS, sources, { envPrefix: RELAY_ENV_PREFIX });
    else if (kind === "credentials") {
      const file = this.#inHome(".credentials.toml");
      await Deno.writeTextFile(file, text, { mode: 0o600 });
      await readOriginCredentials(file);
    } else throw new SyntaxError(`there is no configuration of a ${kind}`);
  }

  #fail(block: Block, line: number, problem: string): void {
    this.report.failures.push(`${block.page}:${line}: ${problem}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#modules[Symbol.asyncDispose]();
    await this.#terminal[Symbol.asyncDispose]();
  }
}

/** A port of this machine that a page names. */
const LOCAL_PORT =
  /(?:(?:127\.0\.0\.1|localhost|0\.0\.0\.0|[\s='"]):|\/ip4\/(?:127\.0\.0\.1|0\.0\.0\.0)\/(?:tcp|udp)\/)(\d{4,5})\b/g;
