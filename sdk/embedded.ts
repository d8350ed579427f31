/**
 * The one way from this package to the engine itself, for nodes that run inside their program. Loaded when such a node starts,
 * and by nothing else: it brings the whole daemon along.
 *
 * @module
 */
import { type Config, loadConfig, resolveConfig } from "../core/config.ts";
import { openDaemonLog } from "../core/daemon_log.ts";
import { CodedError } from "../core/errors.ts";
import { createLogger, type Logger, type LogLevelControl } from "../core/log.ts";
import {
  MemoryDisk,
  MemoryNetwork,
  type NodeParts as DaemonParts,
  startEmbeddedNode,
} from "../daemon/mod.ts";
import { createLocalClient } from "../rpc/local_client.ts";
import { isDaemonThere, type RunningDaemon } from "./daemon_process.ts";
import { DaemonStartError, toAgentAnycastError } from "./errors.ts";

export { MemoryDisk, MemoryNetwork };

/** What a node of the testing kit is made of. */
export interface NodeParts extends DaemonParts {
  /** Its configuration, as `config.toml` has it. */
  readonly toml: string | undefined;
}

/** What an embedded node is started with; all of it resolved. */
export interface EmbeddedOptions {
  readonly home: string;
  readonly keyPath: string;
  readonly logLevel: string;
  readonly bootstrapPeers: readonly string[];
  readonly registryAddrs: readonly string[];
  readonly transport: string | undefined;
  readonly namespace: string | undefined;
  readonly enableMdns: boolean | undefined;
  /** Takes the lines of the log. Default: they go to the log file of the home. */
  readonly onLog: ((line: string) => void) | undefined;
  /** In tests: what the node is made of. It then reads neither environment nor files, and logs to `onLog` alone. */
  readonly parts?: NodeParts | undefined;
  /** Told when the log file cannot be written. */
  readonly onLogFailure: (message: string) => void;
  /** Ends the start, which undoes what it did and throws the reason. */
  readonly signal: AbortSignal;
}

/**
 * Starts a node in this process, configured as a daemon of that home would be: options, environment, `config.toml` of the home.
 * Throws `DaemonStartError` when the home is in use or Deno runs without what it needs, else what the daemon's start throws.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<RunningDaemon> {
  const { parts } = options;
  if (parts === undefined) checkRuntime();
  await using stack = new AsyncDisposableStack();
  try {
    const load = () => readConfig(flagsOf(options), parts);
    const config = load();
    const { logger, control } = openLog(config, { ...options, stack });
    stack.use(logLibraryRejections(logger));
    const node = stack.use(
      await startEmbeddedNode(config, {
        logger,
        logLevel: control,
        loadConfig: load,
        signal: options.signal,
        ...parts && { parts },
      }),
    );
    logger.info("Node started inside its program", { peer: node.peerId, home: config.home });
    const rpc = createLocalClient({ services: node.services, logger });
    const owned = stack.move();
    return { rpc, address: `embedded:${config.home}`, stop: () => owned.disposeAsync() };
  } catch (error) {
    options.signal.throwIfAborted();
    throw await explainStart(error, options.home);
  }
}

/** What the store and QUIC are made of in Deno is behind flags, which a package cannot set for the program that uses it. */
function checkRuntime(): void {
  const missing = ["openKv", "QuicEndpoint"].filter((name) => typeof Reflect.get(Deno, name) !== "function");
  if (missing.length === 0) return;
  throw new DaemonStartError(
    `Cannot start the node inside this program: Deno runs without ${missing.join(" and ")}. ` +
      'Write "unstable": ["kv", "net"] into its deno.json, or run it with --unstable-kv --unstable-net',
  );
}

function readConfig(flags: ReturnType<typeof flagsOf>, parts: NodeParts | undefined): Config {
  if (parts === undefined) return loadConfig(flags).config;
  return resolveConfig({ flags, env: {}, userHome: "/", readFile: () => parts.toml });
}

function flagsOf({ home, keyPath, logLevel, bootstrapPeers, ...options }: EmbeddedOptions) {
  const { transport, namespace, enableMdns, registryAddrs } = options;
  return {
    home,
    key: keyPath,
    "log-level": logLevel,
    ...(bootstrapPeers.length > 0 && { "bootstrap-peers": bootstrapPeers }),
    ...(registryAddrs.length > 0 && { "anycast-registry-addrs": registryAddrs }),
    ...(transport !== undefined && { transport }),
    ...(namespace !== undefined && { namespace }),
    ...(enableMdns !== undefined && { "enable-mdns": String(enableMdns) }),
  };
}

function openLog(
  config: Config,
  { onLog, onLogFailure, parts, stack }: EmbeddedOptions & { stack: AsyncDisposableStack },
): { logger: Logger; control: LogLevelControl } {
  if (onLog === undefined && parts === undefined) {
    return stack.use(openDaemonLog({ ...config, logOutput: "file" }, { note: onLogFailure }));
  }
  const control: LogLevelControl = { level: config.logLevel };
  const logger = createLogger({
    level: () => control.level,
    format: config.logFormat,
    write: onLog ?? (() => {}),
    ...parts && { now: () => parts.clock.now() },
  });
  return { control, logger };
}

/** Where the libraries of the network are, in the frames of a stack: where packages are kept, not just any folder of that name. */
const LIBRARY_FRAME = /(node_modules|[/\\]npm)[/\\]([^/\\@]+[/\\])?(@libp2p|@chainsafe|libp2p)[/\\]/;

/**
 * Logs failures inside the libraries of the network that nobody waited for, instead of letting one end the program; all others
 * stay the program's.
 */
export function logLibraryRejections(logger: Logger): Disposable {
  const onRejection = (event: PromiseRejectionEvent) => {
    const { reason } = event;
    if (!(reason instanceof Error) || !LIBRARY_FRAME.test(reason.stack ?? "")) return;
    event.preventDefault();
    logger.error("A failure nobody waited for", { error: reason, stack: reason.stack });
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  return { [Symbol.dispose]: () => globalThis.removeEventListener("unhandledrejection", onRejection) };
}

/** What the one who starts the node gets to know: above all, who has its home. */
async function explainStart(error: unknown, home: string): Promise<unknown> {
  if (!(error instanceof CodedError) || error.code !== "aborted") return toAgentAnycastError(error);
  const { pid } = error.details;
  return new DaemonStartError(`Cannot start the node in ${home}: ${await ownerOf(home, pid)}`, {
    cause: error,
  });
}

async function ownerOf(home: string, pid: string | undefined): Promise<string> {
  const owner = pid === undefined ? "another process" : `process ${pid}`;
  if (await isDaemonThere({ home })) {
    return `a daemon runs there (${owner}). Use it with mode "managed", stop it with ` +
      `\`agentanycast stop --home ${home}\`, or give this node a home of its own`;
  }
  return pid === String(Deno.pid)
    ? "another node of this program has this home. Stop that one first, or give this one a home of its own"
    : `${owner} has this home, with a node inside of it. Stop that one, or give this node a home of its own`;
}
