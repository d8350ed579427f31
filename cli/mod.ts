/**
 * The command line: a table of verbs, one file per verb, one printer. Imports `daemon/`, `sdk/`, `identity/` and `core/`;
 * each verb's code is loaded when it is called. What a verb opens it closes before {@link runCli} resolves.
 *
 * @module
 */
import { createLogger, silentLogger } from "../core/log.ts";
import { createCommandLine } from "./command_line.ts";
import { reportError } from "./errors.ts";
import { EXIT_OK } from "./exit_codes.ts";
import { normalizeGoFlags } from "./go_flags.ts";
import { Output, type StandardStreams } from "./output.ts";
import { relayFlags } from "./relay_settings.ts";
import { daemonFlags, toConfig } from "./settings.ts";
import type { ProgramName } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export { EXIT_CODE_OF } from "./exit_codes.ts";
export { type StandardStreams, systemStreams } from "./output.ts";
export type { ProgramName } from "./verb.ts";

/** Every verb that can be called, in the order of the help. */
export function verbPaths(): readonly string[] {
  return VERBS.map(({ path }) => path);
}

/** What the command line works with. */
export interface CliDeps {
  /** The name the program was called by, as {@link toProgramName} tells it. */
  readonly name: ProgramName;
  readonly streams: StandardStreams;
  /** Whether colours are wanted on a terminal. */
  readonly colors: boolean;
  /** Fires when the user wants the program to end: verbs then stop in order. */
  readonly signal: AbortSignal;
}

/** The name of the program from the path of its executable or link. */
export function toProgramName(path: string): ProgramName {
  return /(^|[\\/])agentanycastd(-[a-z0-9]+)*(\.exe)?$/i.test(path) ? "agentanycastd" : "agentanycast";
}

/** Runs what `argv` asks for and answers the exit code; every error has been told by then. */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  const { name, streams, colors, signal } = deps;
  const args = toVerbArguments(argv, name);
  const json = args.includes("--json");
  const verbose = args.includes("-v") || args.includes("--verbose");
  const output = new Output(streams, { json, colors });
  const logger = verbose
    ? createLogger({ level: "debug", write: (line) => output.note(line) })
    : silentLogger;
  let exitCode = EXIT_OK;
  const commandLine = createCommandLine({
    name,
    verbs: VERBS,
    onVerb: async (verb, { args, options, program }) => {
      const { run } = await verb.load();
      const loadConfig = () => toConfig(options, { homeOfSocket: name === "agentanycastd" });
      exitCode = await run({
        ...{ name, args, options, output, stdin: streams.stdin, signal, logger, program, loadConfig },
      });
    },
    writeOut: (text) => output.print(text.replace(/\n$/, "")),
    writeError: (text) => {
      if (!json) output.note(text.replace(/^error:/, "agentanycast:").trimEnd());
    },
  });
  try {
    await commandLine.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    return reportError(error, output, { json, verbose, interrupted: signal.aborted });
  }
}

/** The arguments as this command line knows them. Called `agentanycastd`, flags alone are those of the daemon. */
function toVerbArguments(argv: readonly string[], name: ProgramName): string[] {
  const [first = "", ...rest] = argv;
  const isRelay = first === "relay" && (rest.length === 0 || rest[0]?.startsWith("-"));
  if (isRelay) return ["relay", ...normalizeGoFlags(rest, relayFlags())];
  if (first === "daemon") return ["daemon", ...normalizeGoFlags(rest, daemonFlags())];
  if (name === "agentanycastd" && (first === "" || first.startsWith("-"))) {
    return ["daemon", ...normalizeGoFlags(argv, daemonFlags())];
  }
  return [...argv];
}
