import { homedir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import type { AgentAnycastError } from "./errors.ts";
import type { AgentCard } from "./model.ts";
import type { NodeParts } from "./embedded.ts";
import { partsOf } from "./node_parts.ts";
import { type OptionNames, refuseUnknown } from "./option_names.ts";
import type { DownloadProgress } from "./release/fetch_file.ts";

/** Something that happened to a node while nobody waited for it. */
export interface NodeStatus {
  /**
   * What kind of news it is: `restarting` when the daemon has died, which is followed by `ready` or by `failed`, with which the
   * node has stopped; `error` when something went wrong for which no call is waiting.
   */
  readonly state: "starting" | "downloading" | "ready" | "restarting" | "stopped" | "failed" | "error";
  /** For people. */
  readonly message: string;
  /** With the state `downloading`. */
  readonly progress?: DownloadProgress;
  /** With the states `error` and `failed`. */
  readonly error?: AgentAnycastError;
}

/**
 * How a node gets to its engine: `managed` starts a daemon or joins the one of its home, `attached` uses the one at `daemonAddr`,
 * `embedded` runs the engine inside this process, without a daemon.
 */
export type NodeMode = "managed" | "attached" | "embedded";

/** Settings of a node. */
export interface NodeOptions {
  /** Default `attached` with a `daemonAddr`, else `managed`. `embedded` needs Deno with `"unstable": ["kv", "net"]`. */
  mode?: NodeMode;
  /** Shown while the node runs, with those of other nodes at its daemon. Default: it shows none. */
  card?: AgentCard;
  /** Folder of key, socket, store and logs; `~` stands for the user's folder. Default `AGENTANYCAST_HOME` or `~/.agentanycast`. */
  home?: string;
  /** Multiaddr of a relay, or several. */
  relay?: string | readonly string[];
  /**
   * Further multiaddrs to stay connected to. Default for these and relays: those in `AGENTANYCAST_BOOTSTRAP_PEERS`, else as a daemon
   * that is started is configured.
   */
  bootstrapPeers?: readonly string[];
  /** Addresses (`host:port`, `tls://host:port`) of registries that a daemon that is started uses besides relays. Default: as configured. */
  registryAddrs?: readonly string[];
  /** Identity file. Default `<home>/key`. */
  keyPath?: string;
  /** Use the daemon at `unix:///path` or `tcp://host:port`; none is started. */
  daemonAddr?: string;
  /**
   * The daemon's program. Default: `AGENTANYCAST_BINARY` or `AGENTANYCAST_DAEMON_PATH`, else looked for, and downloaded when there
   * is none.
   */
  daemonPath?: string;
  /**
   * Whether the program of this SDK's version is downloaded when none is found, checked by its signature, and kept in the user's
   * cache folder. Default true, unless `AGENTANYCAST_DOWNLOAD` is 0 or false.
   */
  download?: boolean;
  /** Folder of the release, for mirrors; `{version}` stands for the version. Default `AGENTANYCAST_RELEASE_URL` or the official one. */
  releaseUrl?: string;
  /** Ed25519 key in base64 of who signs the release. Default `AGENTANYCAST_RELEASE_KEY` or the official one, which there is none of before the first release. */
  releaseKey?: string;
  /** Passed on to a daemon that is started. */
  transport?: string;
  /** Passed on to a daemon that is started. */
  namespace?: string;
  /** Whether a daemon that is started looks for peers on the local network. Default: as it is configured. */
  enableMdns?: boolean;
  /** Of a daemon that is started: `debug`, `info`, `warn` or `error`. Default `AGENTANYCAST_LOG_LEVEL` or `info`. */
  logLevel?: string;
  /**
   * How long a daemon may take to answer after its start, in milliseconds; one that ends is not waited for. `onStatus` is told every
   * few seconds while it is. Default 60,000.
   */
  startTimeoutMs?: number;
  /** How long sending, waiting and reporting put up with a daemon that is gone, in milliseconds. Default 30,000. */
  reconnectMs?: number;
  /** How long handlers at work may go on when the node stops, in milliseconds. Default 5,000. */
  graceMs?: number;
  /**
   * Shares the tasks for its skills with other exclusive nodes at the same daemon by their room, under a lease. Default: each task
   * goes at once to the node with the least to do.
   */
  exclusive?: boolean;
  /** With `exclusive`: most unfinished tasks taken at once. Default: what the handlers take at the time of listening. */
  maxClaims?: number;
  /** With `embedded`: takes each line of the log. Default: they go to `logs/agentanycast.log` in the home. */
  onLog?: (line: string) => void;
  /** Told about progress and about errors that no call can throw. What it throws is an uncaught error of the program. */
  onStatus?: (status: NodeStatus) => void;
  /** Stops the node when it fires, also while it starts. */
  signal?: AbortSignal;
}

const NAMES: OptionNames<NodeOptions> = {
  mode: true,
  card: true,
  home: true,
  relay: true,
  bootstrapPeers: true,
  registryAddrs: true,
  keyPath: true,
  daemonAddr: true,
  daemonPath: true,
  download: true,
  releaseUrl: true,
  releaseKey: true,
  transport: true,
  namespace: true,
  enableMdns: true,
  logLevel: true,
  startTimeoutMs: true,
  reconnectMs: true,
  graceMs: true,
  exclusive: true,
  maxClaims: true,
  onLog: true,
  onStatus: true,
  signal: true,
};

/** {@link NodeOptions} with every default filled in. */
export interface ResolvedNodeOptions {
  /** What an embedded node is made of, in tests. */
  readonly parts: NodeParts | undefined;
  readonly mode: NodeMode;
  readonly card: AgentCard | undefined;
  readonly home: string;
  readonly keyPath: string;
  readonly bootstrapPeers: readonly string[];
  readonly registryAddrs: readonly string[];
  readonly daemonAddr: string | undefined;
  readonly daemonPath: string | undefined;
  readonly download: boolean;
  readonly releaseUrl: string | undefined;
  readonly releaseKey: string | undefined;
  readonly transport: string | undefined;
  readonly namespace: string | undefined;
  readonly enableMdns: boolean | undefined;
  readonly logLevel: string;
  readonly startTimeoutMs: number;
  readonly reconnectMs: number;
  readonly graceMs: number;
  readonly exclusive: boolean;
  readonly maxClaims: number | undefined;
  readonly onLog: ((line: string) => void) | undefined;
  readonly onStatus: (status: NodeStatus) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Throws `RangeError` for a time or number that is not positive, a grace that is negative or a mode that is none, `TypeError` for
 * options that the mode has no use for, or that there are not.
 */
export function resolveNodeOptions(options: NodeOptions): ResolvedNodeOptions {
  refuseUnknown(options, NAMES, "A node");
  const mode = resolveMode(options);
  const home = toPath(options.home ?? process.env.AGENTANYCAST_HOME ?? "~/.agentanycast");
  const relays = typeof options.relay === "string" ? [options.relay] : options.relay ?? [];
  return {
    parts: partsOf(options),
    mode,
    card: options.card,
    home,
    keyPath: options.keyPath === undefined ? join(home, "key") : toPath(options.keyPath),
    bootstrapPeers: [...relays, ...options.bootstrapPeers ?? []],
    registryAddrs: options.registryAddrs ?? [],
    daemonAddr: options.daemonAddr,
    daemonPath: options.daemonPath === undefined ? undefined : toPath(options.daemonPath),
    download: options.download ?? !/^(0|false)$/.test(process.env.AGENTANYCAST_DOWNLOAD ?? ""),
    releaseUrl: options.releaseUrl,
    releaseKey: options.releaseKey,
    transport: options.transport,
    namespace: options.namespace,
    enableMdns: options.enableMdns,
    logLevel: options.logLevel ?? (process.env.AGENTANYCAST_LOG_LEVEL || "info"),
    startTimeoutMs: positive("startTimeoutMs", options.startTimeoutMs ?? 60_000),
    reconnectMs: positive("reconnectMs", options.reconnectMs ?? 30_000),
    graceMs: notNegative("graceMs", options.graceMs ?? 5_000),
    exclusive: options.exclusive ?? false,
    maxClaims: options.maxClaims === undefined ? undefined : positive("maxClaims", options.maxClaims),
    onLog: options.onLog && detached(options.onLog),
    onStatus: detached(options.onStatus ?? (() => {})),
    signal: options.signal,
  };
}

/** Options that one mode alone makes use of. */
const OF_MODE: Readonly<Record<NodeMode, readonly (keyof NodeOptions)[]>> = {
  managed: ["daemonPath", "download", "releaseUrl", "releaseKey"],
  attached: ["daemonAddr"],
  embedded: ["onLog"],
};

function resolveMode({ mode, ...options }: NodeOptions): NodeMode {
  if (mode === undefined) {
    const guessed = options.daemonAddr === undefined ? "managed" : "attached";
    if (options.onLog === undefined) return guessed;
    throw new TypeError(
      `onLog is for embedded nodes: the log of a daemon is in its home, or set mode: "embedded"`,
    );
  }
  if (!Object.hasOwn(OF_MODE, mode)) {
    throw new RangeError(`mode must be one of ${Object.keys(OF_MODE).join(", ")}, got ${String(mode)}`);
  }
  for (const [other, names] of Object.entries(OF_MODE)) {
    const given = names.find((name) => other !== mode && options[name as keyof typeof options] !== undefined);
    if (given !== undefined) {
      throw new TypeError(
        `${given} is for ${other} nodes and this one is ${mode}: leave out ${given} or mode`,
      );
    }
  }
  if (mode === "attached" && options.daemonAddr === undefined) {
    throw new TypeError("An attached node needs daemonAddr: the address of the daemon that it shall use");
  }
  return mode;
}

/** `callback` whose errors are the program's uncaught ones, as those of event listeners are: no work of the node depends on them. */
function detached<T>(callback: (value: T) => void): (value: T) => void {
  return (value) => {
    try {
      callback(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

function positive(name: string, value: number): number {
  if (value > 0) return value;
  throw new RangeError(`${name} must be positive, got ${value}`);
}

function notNegative(name: string, value: number): number {
  if (value >= 0) return value;
  throw new RangeError(`${name} must not be negative, got ${value}`);
}

/** `path` made absolute, with a leading `~` as the user's folder. */
function toPath(path: string): string {
  return resolve(/^~(?=$|[/\\])/.test(path) ? join(homedir(), path.slice(1)) : path);
}
