import { VERSION } from "../core/version.ts";
import { Attachment, type DaemonEvent } from "./attachment.ts";
import { DaemonClient } from "./daemon_client.ts";
import { type RunningDaemon, startOrJoinDaemon } from "./daemon_process.ts";
import { type AgentAnycastError, DaemonStartError, toAgentAnycastError } from "./errors.ts";
import type { IncomingTasks } from "./incoming_tasks.ts";
import { KeptDaemon } from "./kept_daemon.ts";
import type { AgentCard, NodeInfo } from "./model.ts";
import type { ResolvedNodeOptions } from "./node_options.ts";
import type { DownloadProgress } from "./release/fetch_file.ts";
import type { TaskHandlers } from "./task_handlers.ts";

/** How long a daemon may take to say that it is there. */
const PROBE_TIMEOUT_MS = 2_000;

/** What a node holds while it runs. */
export interface Running {
  readonly daemon: DaemonClient;
  /** What the node stops with it: the daemon of its home or the engine inside its program. */
  readonly kept: Pick<KeptDaemon, "stop"> & Partial<Pick<KeptDaemon, "letGo">> | undefined;
  readonly attachment: Attachment;
  readonly info: NodeInfo;
  /** Fires when the node stops. */
  readonly lifetime: AbortController;
  incoming: IncomingTasks | undefined;
}

/** What a node is at. */
export type NodeState =
  | {
    readonly kind: "stopped";
    /** Why, when it was not asked to. */
    readonly failure?: AgentAnycastError;
  }
  | { readonly kind: "starting"; readonly started: Promise<Running>; readonly abort: AbortController }
  | { readonly kind: "running"; readonly running: Running }
  | {
    readonly kind: "stopping";
    readonly stopped: Promise<void>;
    /** What handlers that finish their work still use. */
    readonly running: Running | undefined;
    /** Ends the grace of handlers. */
    readonly hurry: AbortController;
  };

/** What opening a node needs. */
export interface OpenNodeDeps {
  /** Ends the start when it fires. */
  readonly lifetime: AbortController;
  readonly card: () => AgentCard | undefined;
  readonly handlers: TaskHandlers;
  readonly onEvent: (event: DaemonEvent) => void;
  /** Told what nobody can be thrown at. */
  readonly report: (message: string, error: unknown) => void;
  /** The daemon has died and cannot be started again. */
  readonly onFailure: (error: AgentAnycastError) => void;
}

/** Opens everything; what was opened is closed again when a later step fails. */
export async function openNode(options: ResolvedNodeOptions, deps: OpenNodeDeps): Promise<Running> {
  const { mode, daemonAddr, onStatus } = options;
  const { lifetime, handlers } = deps;
  const { signal } = lifetime;
  signal.throwIfAborted();
  await handlers.prepare();
  onStatus({
    state: "starting",
    message: daemonAddr === undefined ? "Starting" : `Connecting to ${daemonAddr}`,
  });
  const open = (signal: AbortSignal, state: "starting" | "restarting" = "restarting") => {
    const onWait = (message: string) => onStatus({ state, message });
    return startOrJoinDaemon({ ...options, onWait, onDownload: tellProgress(onStatus) }, signal);
  };
  const process = mode === "managed"
    ? await open(signal, "starting")
    : mode === "embedded"
    ? await embed(options, signal)
    : undefined;
  let kept: KeptDaemon | undefined;
  const address = process?.address ?? daemonAddr ?? "";
  let daemon: DaemonClient | undefined;
  try {
    const onLost = () => kept?.connectionLost();
    const { parts } = options;
    daemon = new DaemonClient(address, { rpc: process?.rpc, onLost, ...parts && { clock: parts.clock } });
    const attachment = new Attachment({ daemon, ...deps }, signal);
    const info = await daemon.getInfo({ signal });
    await attachment.attach();
    signal.throwIfAborted();
    kept = mode === "managed" && process ? keep(process, { ...deps, daemon, open }, options) : undefined;
    const joined = mode === "managed" && process?.ended === undefined;
    const message = (joined ? "Joined a running daemon" : "Ready") +
      versionNote(info, { joined, ...options });
    onStatus({ state: "ready", message });
    return { daemon, kept: kept ?? process, attachment, info, lifetime, incoming: undefined };
  } catch (error) {
    daemon?.close();
    await process?.stop();
    throw toAgentAnycastError(error);
  }
}

/** What is to be known of a daemon that is not of this SDK's version. */
function versionNote({ version }: NodeInfo, { joined, home }: { joined: boolean; home: string }): string {
  if (version === "" || version === VERSION) return "";
  const advice = joined
    ? `. Stop it with \`agentanycast stop --home ${home}\` to start one of this version`
    : "";
  return `: the daemon is of version ${version}, this SDK of ${VERSION}, and what either lacks cannot be used${advice}`;
}

async function embed(options: ResolvedNodeOptions, signal: AbortSignal): Promise<RunningDaemon> {
  if (!("Deno" in globalThis)) {
    throw new DaemonStartError(
      "An embedded node runs on Deno only: leave out `mode`, so that a daemon is started beside this program",
    );
  }
  const { startEmbedded } = await import("./embedded.ts"); // brings the whole daemon along
  const onLogFailure = (message: string) => options.onStatus({ state: "error", message });
  return await startEmbedded({ ...options, onLogFailure, signal });
}

function keep(
  process: RunningDaemon,
  { daemon, open, onFailure }: Pick<OpenNodeDeps, "onFailure"> & {
    daemon: DaemonClient;
    open: (signal: AbortSignal) => Promise<RunningDaemon>;
  },
  { reconnectMs, onStatus }: ResolvedNodeOptions,
): KeptDaemon {
  return new KeptDaemon(process, {
    open,
    isThere: () => daemon.getInfo({ timeoutMs: PROBE_TIMEOUT_MS }).then(() => true, () => false),
    onGone: (how) => onStatus({ state: "restarting", message: `The daemon is gone: ${how}` }),
    onBack: ({ ended }) =>
      onStatus({
        state: "ready",
        message: ended === undefined ? "Joined another daemon" : "The daemon was started again",
      }),
    onFailure,
  }, { limitMs: reconnectMs });
}

/** Tells each whole percent of a download once, or each MiB when its length is not known. */
function tellProgress(onStatus: ResolvedNodeOptions["onStatus"]): (progress: DownloadProgress) => void {
  let told = "";
  return (progress) => {
    const { receivedBytes, totalBytes } = progress;
    const amount = totalBytes === undefined
      ? `${Math.floor(receivedBytes / 2 ** 20)} MiB`
      : `${Math.floor(receivedBytes / totalBytes * 100)}%`;
    if (amount === told) return;
    told = amount;
    onStatus({ state: "downloading", message: `Downloading agentanycast ${VERSION}: ${amount}`, progress });
  };
}
