import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { systemClock } from "../core/clock.ts";
import { formatRpcAddress, parseRpcAddress } from "../core/rpc_address.ts";
import { type DaemonCommand, findDaemon, toCommand } from "./daemon_binary.ts";
import { DaemonClient } from "./daemon_client.ts";
import { DaemonNotFoundError, DaemonStartError, toAgentAnycastError } from "./errors.ts";
import { daemonRelease } from "./release/daemon_release.ts";
import { downloadDaemon } from "./release/download_daemon.ts";
import type { DownloadProgress } from "./release/fetch_file.ts";

const POLL_MS = 50;
const PROBE_TIMEOUT_MS = 2_000;
/** How long a daemon may take to stop before it is killed. */
const STOP_TIMEOUT_MS = 5_000;
/** The daemon's exit code when another process uses its home. */
const HOME_IN_USE_EXIT_CODE = 11;
const LOG_TAIL_BYTES = 4_096;
const LOG_TAIL_LINES = 20;

/** What a daemon is started with; all of it resolved. */
export interface DaemonProcessOptions {
  readonly home: string;
  readonly keyPath: string;
  readonly logLevel: string;
  readonly bootstrapPeers: readonly string[];
  readonly startTimeoutMs: number;
  readonly daemonPath?: string | undefined;
  readonly transport?: string | undefined;
  readonly namespace?: string | undefined;
  readonly enableMdns?: boolean | undefined;
  /** Whether the program is downloaded when there is none here. */
  readonly download: boolean;
  readonly releaseUrl?: string | undefined;
  readonly releaseKey?: string | undefined;
  readonly onDownload?: (progress: DownloadProgress) => void;
}

/** A daemon that answers. */
export interface RunningDaemon {
  readonly address: string;
  /** Whether it was started here. */
  readonly owned: boolean;
  /** Stops a daemon that was started here; another is left alone. */
  stop(): Promise<void>;
}

/**
 * Joins the daemon that answers in `home`, or starts one and waits until it answers. Throws `DaemonNotFoundError`,
 * `DaemonDownloadError`, `DaemonStartError`, `invalid_argument` for a home whose path is too long, or the reason of `signal`.
 */
export async function startOrJoinDaemon(
  options: DaemonProcessOptions,
  signal: AbortSignal,
): Promise<RunningDaemon> {
  const socket = join(options.home, "daemon.sock");
  const address = formatRpcAddress(socketAddress(socket));
  const joined: RunningDaemon = { address, owned: false, stop: () => Promise.resolve() };
  if (await answers(socket, address)) return joined;

  const child = launch(await locateDaemon(options, signal), options);
  try {
    const deadline = systemClock.now() + options.startTimeoutMs;
    while (!await answers(socket, address)) {
      // Another program may have started a daemon in this home at the same moment: then that one is joined.
      if (child.ended !== undefined && !child.lostHome) {
        throw new DaemonStartError(`The daemon did not start: ${child.ended}\n${child.logTail()}`);
      }
      if (systemClock.now() > deadline) {
        throw new DaemonStartError(
          `The daemon does not answer after ${options.startTimeoutMs} ms\n${child.logTail()}`,
        );
      }
      await systemClock.sleep(POLL_MS, signal);
    }
    return child.ended === undefined ? { address, owned: true, stop: () => child.stop() } : joined;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/** The program on this machine, else the one of the release that this SDK belongs to. */
async function locateDaemon(options: DaemonProcessOptions, signal: AbortSignal): Promise<DaemonCommand> {
  const found = findDaemon(options);
  if (found !== undefined) return found;
  if (!options.download) {
    throw new DaemonNotFoundError(
      `No agentanycast program found: put it on PATH or into ${
        join(options.home, "bin")
      }, set AGENTANYCAST_BINARY ` +
        "or daemonPath to it, set daemonAddr to a running daemon, or allow the download of it",
    );
  }
  const { onDownload } = options;
  return toCommand(
    await downloadDaemon(daemonRelease(options), {
      signal,
      ...(onDownload !== undefined && { onProgress: onDownload }),
    }),
  );
}

function socketAddress(path: string): ReturnType<typeof parseRpcAddress> {
  try {
    return parseRpcAddress(path);
  } catch (error) {
    throw toAgentAnycastError(error);
  }
}

/** Whether a daemon answers there. A socket file alone says nothing: a killed daemon leaves one behind. */
async function answers(socket: string, address: string): Promise<boolean> {
  const exists = await stat(socket).then((found) => found.isSocket(), () => false);
  if (!exists) return false;
  const daemon = new DaemonClient(address);
  try {
    await daemon.getInfo({ timeoutMs: PROBE_TIMEOUT_MS });
    return true;
  } catch {
    return false; // whatever the reason, it cannot be used
  } finally {
    daemon.close();
  }
}

interface DaemonChild {
  /** Why it ended; undefined while it runs. */
  readonly ended: string | undefined;
  /** Whether it ended because another daemon has the home. */
  readonly lostHome: boolean;
  /** The last lines it has logged. */
  logTail(): string;
  stop(): Promise<void>;
}

/**
 * Starts the daemon in its own session, so that Ctrl+C reaches only this program. The daemon stops in order when this
 * process stops it, and also when this process ends without having done so.
 */
function launch({ program, args }: DaemonCommand, options: DaemonProcessOptions): DaemonChild {
  const logs = join(options.home, "logs");
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const logPath = join(logs, "daemon.log");
  const log = openSync(logPath, "a", 0o600);
  const logStart = fstatSync(log).size;
  // Its output goes to the file itself: nobody has to drain it, and it outlives this process.
  const child = spawn(program, [...args, ...flagsOf(args, options)], {
    detached: true,
    // Nothing is written to its input: the end of it tells the daemon that this process is gone, however it went.
    stdio: [takesVerb(args) ? "pipe" : "ignore", log, log],
    env: environmentOf(args, options),
  });
  closeSync(log);
  child.unref();
  (child.stdin as Socket | null)?.unref();
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    const end = (why: string) => {
      ended ??= why;
      stopWatchingExit();
      resolve();
    };
    child.once("error", (error) => end(`${program} cannot be run: ${error.message}`));
    child.once("exit", (code, signal) => end(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  });
  const stopWatchingExit = onProcessExit(() => child.kill("SIGTERM"));
  return {
    get ended() {
      return ended;
    },
    get lostHome() {
      return child.exitCode === HOME_IN_USE_EXIT_CODE;
    },
    logTail: () => readTail(logPath, logStart),
    stop: () => stopChild(child, exited),
  };
}

/** Runs `work`, which cannot wait for anything, when this process ends by itself. Returns what calls it off. */
function onProcessExit(work: () => void): () => void {
  process.on("exit", work);
  // Deno.exit() tells only this event, which Node does not have.
  const events = globalThis as Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;
  events.addEventListener?.("unload", work);
  return () => {
    process.off("exit", work);
    events.removeEventListener?.("unload", work);
  };
}

/** Whether the program is ours: others have no verbs. */
function takesVerb(args: readonly string[]): boolean {
  return args.length > 0;
}

function flagsOf(args: readonly string[], options: DaemonProcessOptions): string[] {
  const flags = [
    `--key=${options.keyPath}`,
    `--grpc-listen=unix://${join(options.home, "daemon.sock")}`,
    `--log-level=${options.logLevel}`,
  ];
  if (takesVerb(args)) {
    flags.unshift(`--home=${options.home}`);
    flags.push("--log-output=file", "--stop-with-stdin");
  }
  if (options.bootstrapPeers.length > 0) flags.push(`--bootstrap-peers=${options.bootstrapPeers.join(",")}`);
  if (options.transport !== undefined) flags.push(`--transport=${options.transport}`);
  if (options.namespace !== undefined) flags.push(`--namespace=${options.namespace}`);
  return flags;
}

function environmentOf(
  args: readonly string[],
  options: DaemonProcessOptions,
): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env };
  if (!takesVerb(args)) env.AGENTANYCAST_STORE_PATH = join(options.home, "data");
  if (options.enableMdns !== undefined) env.AGENTANYCAST_ENABLE_MDNS = String(options.enableMdns);
  return env;
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.stdin?.destroy();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** The last lines written to the file after byte `start`. */
function readTail(path: string, start: number): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const from = Math.max(start, size - LOG_TAIL_BYTES);
    const bytes = new Uint8Array(Math.max(0, size - from));
    readSync(file, bytes, 0, bytes.length, from);
    return new TextDecoder().decode(bytes).trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  } finally {
    closeSync(file);
  }
}
