import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import type { Socket } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { systemClock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import { formatRpcAddress, parseRpcAddress } from "../core/rpc_address.ts";
import { type DaemonCommand, findDaemon, toCommand } from "./daemon_binary.ts";
import { DaemonClient } from "./daemon_client.ts";
import { type DaemonChild, DaemonStart, type DaemonStartOptions } from "./daemon_start.ts";
import { DaemonNotFoundError, DaemonStartError, toAgentAnycastError } from "./errors.ts";
import { daemonRelease } from "./release/daemon_release.ts";
import type { RpcClient } from "../rpc/rpc_client.ts";
import { downloadDaemon } from "./release/download_daemon.ts";
import type { DownloadProgress } from "./release/fetch_file.ts";

const POLL_MS = 50;
const PROBE_TIMEOUT_MS = 2_000;
/** How long a daemon may take to stop before it is killed. */
const STOP_TIMEOUT_MS = 5_000;
/** The daemon's exit code when another process uses its home. */
const HOME_IN_USE_EXIT_CODE = 11;
/** How long a daemon takes at most to find out that another one has its home. */
const OTHER_LIMIT_MS = 3_000;
const LOG_TAIL_BYTES = 4_096;
const LOG_TAIL_LINES = 20;

/** What a daemon is started with; all of it resolved. */
export interface DaemonProcessOptions extends DaemonStartOptions {
  readonly keyPath: string;
  readonly logLevel: string;
  readonly bootstrapPeers: readonly string[];
  readonly registryAddrs: readonly string[];
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
  /** How it is called. Default: over gRPC at its address. */
  readonly rpc?: RpcClient;
  /** How it ended, once it has; only told of one that was started here. */
  readonly ended?: Promise<string>;
  /** Stops a daemon that was started here; another is left alone. */
  readonly stop: () => Promise<void>;
  /** Leaves a daemon that was started here to the others that have joined it; it stops when they have left too. */
  readonly leave?: () => Promise<void>;
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
  const joined: RunningDaemon = { address, stop: () => Promise.resolve() };
  if (await pidAt(socket, address) !== undefined) return joined;

  const command = await locateDaemon(options, signal);
  const start = new DaemonStart(() => launch(command, options), options, systemClock.now());
  try {
    for (;;) {
      const pid = await pidAt(socket, address);
      const { child } = start;
      if (pid !== undefined) return await isOther(pid, child) ? joined : ownedBy(child, address);
      start.check(systemClock.now());
      await systemClock.sleep(POLL_MS, signal);
    }
  } catch (error) {
    await start.child.stop();
    throw error;
  }
}

function ownedBy(child: DaemonChild, address: string): RunningDaemon {
  return { address, ended: child.exited, stop: () => child.stop(), leave: () => child.leave() };
}

/** Whether the daemon that answers is another one than the child, which then soon finds out that it has no home. */
async function isOther(pid: number, child: DaemonChild): Promise<boolean> {
  if (pid === 0 || pid === child.pid) return child.ended !== undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Behind a program that starts the daemon as its own child the pid differs too.
  const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, OTHER_LIMIT_MS));
  await Promise.race([child.exited, patience]);
  clearTimeout(timer);
  return child.ended !== undefined;
}

/** Whether a daemon answers in the home. */
export async function isDaemonThere({ home }: Pick<DaemonProcessOptions, "home">): Promise<boolean> {
  const socket = join(home, "daemon.sock");
  return await pidAt(socket, formatRpcAddress(socketAddress(socket))) !== undefined;
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

/**
 * The process of the daemon that answers there, 0 when it does not say; undefined when none answers. A socket file alone says
 * nothing: a killed daemon leaves one behind.
 */
async function pidAt(socket: string, address: string): Promise<number | undefined> {
  const exists = await stat(socket).then((found) => found.isSocket(), () => false);
  if (!exists) return undefined;
  const daemon = new DaemonClient(address);
  try {
    return (await daemon.getInfo({ timeoutMs: PROBE_TIMEOUT_MS })).pid ?? 0;
  } catch {
    return undefined; // whatever the reason, it cannot be used
  } finally {
    daemon.close();
  }
}

/** Comes back when the process is gone, or has had the time that a daemon may take to stop. */
export async function untilGone(pid: number): Promise<void> {
  const deadline = systemClock.now() + STOP_TIMEOUT_MS;
  while (systemClock.now() < deadline) {
    try {
      process.kill(pid, 0);
    } catch {
      return; // there is no such process
    }
    await systemClock.sleep(POLL_MS);
  }
}

/**
 * Starts the daemon in its own session, so that Ctrl+C reaches only this program. The daemon stops in order when this
 * process stops it, and also when this process ends without having done so.
 */
function launch({ program, args }: DaemonCommand, options: DaemonProcessOptions): DaemonChild {
  const logPath = join(options.home, "logs", "daemon.log");
  const log = openLog(logPath, options.home);
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
  (child.stdin as Partial<Socket> | null)?.unref?.(); // on Bun it keeps no process alive, and cannot be told so
  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    const end = (why: string) => {
      ended ??= why;
      stopWatchingExit();
      resolve(why);
    };
    child.once("error", (error) => end(`${program} cannot be run: ${error.message}`));
    child.once("exit", (code, signal) => end(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  });
  // One that watches its input stops by itself, unless others have joined it.
  const stopWatchingExit = takesVerb(args) ? () => {} : onProcessExit(() => child.kill("SIGTERM"));
  return {
    pid: child.pid,
    get ended() {
      return ended;
    },
    exited,
    get lostHome() {
      return child.exitCode === HOME_IN_USE_EXIT_CODE;
    },
    logTail: () => readTail(logPath, logStart),
    stop: () => stopChild(child, exited),
    leave: () => {
      stopWatchingExit();
      child.stdin?.destroy();
      return Promise.resolve();
    },
  };
}

/** The file that the daemon's output goes to. Throws `DaemonStartError` for a home that cannot be written to. */
function openLog(path: string, home: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(path, "a", 0o600);
  } catch (error) {
    throw new DaemonStartError(
      `Cannot use the home ${home}: ${
        errorMessage(error)
      }. Set \`home\` to a folder that this user may write to`,
      { cause: error },
    );
  }
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
  if (options.registryAddrs.length > 0) env.AGENTANYCAST_REGISTRY_ADDRS = options.registryAddrs.join(",");
  if (options.enableMdns !== undefined) env.AGENTANYCAST_ENABLE_MDNS = String(options.enableMdns);
  return env;
}

async function stopChild(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.destroy();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** The last lines written to the file after byte `start`; why there are none when it cannot be read, as in a home that was removed. */
function readTail(path: string, start: number): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    return `(its log cannot be read: ${errorMessage(error)})`;
  }
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
