import { basename, dirname, join } from "node:path";
import { CodedError } from "../../core/errors.ts";
import { reasonOf, run } from "./process.ts";

/** A program to make an executable of. */
export interface Program {
  /** Of the executable, its cache directory and (in capitals) its environment variables. */
  readonly name: string;
  /** What `<executable> version` prints, among other words. */
  readonly version: string;
  /** Absolute path of the main module. */
  readonly entry: string;
  /** Absolute path of its `deno.json`. */
  readonly config: string;
  /** Deno's unstable features that it uses, without the prefix `--unstable-`. */
  readonly unstable: readonly string[];
}

/** A program as plain JavaScript files that need nothing else. */
export interface Bundle {
  readonly program: Program;
  /** Absolute path of the folder with the files, and nothing but them. */
  readonly dir: string;
  /** File name of the main module in `dir`. */
  readonly entry: string;
}

/**
 * What the program may do: sockets, files, environment, facts about the system, and starting processes. Which ones is
 * up to its users (a home anywhere, any peer, any MCP server), so that the kinds cannot be narrowed to lists. It may
 * not load native libraries, import remote code, or read the memory and environment of its own process via `/proc`.
 */
const PERMISSIONS = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-run",
];

/**
 * The heap stays near what is in use, some 30 MiB of a daemon: left to itself it is let grow to three times that before it is
 * collected, for a few per cent of CPU time.
 */
const V8_FLAGS = "--max-semi-space-size=4,--heap-growing-percent=30";

/** The flags for Deno that every kind of executable runs the program with. */
export function runtimeFlags(program: Program): string[] {
  return [
    ...PERMISSIONS,
    `--v8-flags=${V8_FLAGS}`,
    ...program.unstable.map((feature) => `--unstable-${feature}`),
  ];
}

/** The program described by the `deno.json` at `config`. Throws what reading it throws. */
export async function readProgram(name: string, config: string): Promise<Program> {
  const { version, unstable = [] } = JSON.parse(await Deno.readTextFile(config));
  return { name, version, entry: join(dirname(config), "main.ts"), config, unstable };
}

/**
 * Bundles `program` into the new folder `dir`: minified, one chunk per dynamic import (what is imported lazily stays
 * lazy), from exactly the packages of the lock file. Throws CodedError `failed_precondition`.
 */
export async function bundleProgram(program: Program, dir: string): Promise<Bundle> {
  const outcome = await run([
    ...[Deno.execPath(), "bundle", "--quiet", "--config", program.config, "--frozen", "--platform", "deno"],
    ...["--minify", "--code-splitting", "--outdir", dir, program.entry],
  ], { cwd: dirname(program.config) });
  if (outcome.code !== 0) {
    throw new CodedError("failed_precondition", `Cannot bundle ${program.entry}: ${reasonOf(outcome)}`);
  }
  return { program, dir, entry: basename(program.entry).replace(/\.ts$/, ".js") };
}
