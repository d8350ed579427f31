import { accessSync, constants, existsSync, statSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { DaemonNotFoundError } from "./errors.ts";

/** How the daemon is run: a program and the arguments before its flags. */
export interface DaemonCommand {
  readonly program: string;
  readonly args: readonly string[];
}

export interface FindDaemonOptions {
  /** A program that must exist. */
  readonly daemonPath?: string | undefined;
  /** The node's folder. */
  readonly home: string;
  /** Default: the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What Deno tells about itself; absent on Node. */
interface DenoRuntime {
  readonly build: { readonly standalone?: boolean };
}

const { Deno: deno } = globalThis as { Deno?: DenoRuntime };
const EXECUTABLE_SUFFIX = process.platform === "win32" ? ".exe" : "";

/**
 * Finds the daemon: the path given, `AGENTANYCAST_BINARY` or `AGENTANYCAST_DAEMON_PATH`, the packed or compiled program this code is part of, a source
 * checkout, `agentanycast` or `agentanycastd` on `PATH`, `<home>/bin/agentanycast`; undefined when there is none. Throws `DaemonNotFoundError` for a
 * named program that cannot be run.
 */
export function findDaemon(
  { daemonPath, home, env = process.env }: FindDaemonOptions,
): DaemonCommand | undefined {
  const named = daemonPath ?? (env.AGENTANYCAST_BINARY || env.AGENTANYCAST_DAEMON_PATH);
  if (named !== undefined && named !== "") {
    if (isExecutable(named)) return toCommand(named);
    throw new DaemonNotFoundError(`Cannot use ${named} as the daemon: it is not an executable file`);
  }
  return ownProgram(env) ?? sourceCheckout() ?? onPath("agentanycast", env) ?? onPath("agentanycastd", env) ??
    installed(home);
}

/** The program this code is packed or compiled into. */
function ownProgram(env: Readonly<Record<string, string | undefined>>): DaemonCommand | undefined {
  const packed = env.AGENTANYCAST_SELF;
  if (packed !== undefined && isExecutable(packed)) return toCommand(packed);
  return deno?.build.standalone ? toCommand(process.execPath) : undefined;
}

/** `main.ts` beside the folder of this file, when Deno runs it from disk. */
function sourceCheckout(): DaemonCommand | undefined {
  if (deno === undefined || !import.meta.url.startsWith("file:")) return undefined;
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  if (!existsSync(main) || !existsSync(config)) return undefined;
  return { program: process.execPath, args: ["run", "-A", "--config", config, main, "daemon"] };
}

function onPath(name: string, env: Readonly<Record<string, string | undefined>>): DaemonCommand | undefined {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    const program = join(folder, name + EXECUTABLE_SUFFIX);
    if (folder !== "" && isExecutable(program)) return toCommand(program);
  }
  return undefined;
}

function installed(home: string): DaemonCommand | undefined {
  const program = join(home, "bin", "agentanycast" + EXECUTABLE_SUFFIX);
  return isExecutable(program) ? toCommand(program) : undefined;
}

/** `agentanycastd` is nothing but a daemon; every other program takes the verb. */
export function toCommand(program: string): DaemonCommand {
  return { program, args: basename(program, EXECUTABLE_SUFFIX) === "agentanycastd" ? [] : ["daemon"] };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // not there, or not ours to run: the same to the caller
  }
}
