import {
  type ArtifactSpool,
  ArtifactStreams,
  type Engine,
  isCaller,
  isTerminal,
  type StreamedArtifacts,
  type Task,
  type TaskStore,
} from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { ARTIFACT_STREAM_PROTOCOL, type FrameChannel, type P2pHost } from "../../p2p/mod.ts";
import { DiskSpool } from "./disk_spool.ts";
import { createFrameLink, toReceiverChannel } from "./frame_link.ts";
import { createLocalChannel } from "./local_channel.ts";

/** What artifact streams need of the daemon. Host and engine are met when the first stream runs, not before. */
export interface OpenArtifactStreamsDeps {
  /** Folder for what is received, or what keeps it. */
  spool: string | ArtifactSpool;
  clock: Clock;
  store: Pick<TaskStore, "load">;
  host: () => Pick<P2pHost, "openChannel">;
  engine: () => Pick<Engine, "subscribe">;
  meter: NodeMeter;
  logger: Logger;
}

/** Artifact streams as the daemon has them. Disposing it ends them; what is on disk stays. */
export interface DaemonStreams extends AsyncDisposable {
  readonly streams: ArtifactStreams;
  /** What the engine asks about them. */
  readonly streamed: StreamedArtifacts;
  /** Takes a channel that a peer has opened. */
  onChannel(channel: FrameChannel): Promise<void>;
}

/** Opens the folder of received artifacts and the streams over it. @throws CodedError `unavailable`, `resource_exhausted`. */
export async function openArtifactStreams(deps: OpenArtifactStreamsDeps): Promise<DaemonStreams> {
  const { clock, store, host, engine, meter, logger } = deps;
  const load = async (taskId: string) => (await store.load(taskId))?.record.task;
  const spool = typeof deps.spool === "string"
    ? await DiskSpool.open({
      folder: deps.spool,
      logger,
      knowsTask: async (taskId) => await load(taskId) !== undefined,
    })
    : deps.spool;
  const peers = createFrameLink(
    (peerId, options) => host().openChannel(peerId, ARTIFACT_STREAM_PROTOCOL, options),
    { onChunk: countChunk(meter, "sent") },
  );
  /** What is for a caller of this node stays here: it is received where it is sent. */
  const openLocal = (caller: string) => {
    const { sender, receiver } = createLocalChannel(caller);
    streams.accept(receiver).catch((error) => {
      logger.warn("An artifact for a caller of this node cannot be taken", { caller, error });
      receiver.abort(toCodedError(error));
    });
    return Promise.resolve(sender);
  };
  const streams: ArtifactStreams = new ArtifactStreams({
    tasks: { load, onEnded: (taskId, signal) => ended({ engine: engine(), load }, { taskId, signal }) },
    link: {
      open: (peerId, options) => isCaller(peerId) ? openLocal(peerId) : peers.open(peerId, options),
    },
    spool,
    clock,
    logger,
  });
  return {
    streams,
    streamed: {
      results: async (task) =>
        isCaller(task.peerId) ? await streams.collect(task) : streams.references(task.taskId),
      resolve: (taskId, artifacts) => streams.resolve(taskId, artifacts),
      deleteTasks: async (taskIds) => {
        for (const taskId of taskIds) await streams.deleteTask(taskId);
      },
    },
    onChannel: (channel) =>
      streams.accept(toReceiverChannel(channel, { onChunk: countChunk(meter, "received") })),
    [Symbol.asyncDispose]: () => streams[Symbol.asyncDispose](),
  };
}

function countChunk(meter: NodeMeter, direction: "sent" | "received"): (bytes: number) => void {
  return (bytes) => {
    meter.count("stream_chunks_total", { direction });
    meter.count("stream_bytes_total", { direction }, bytes);
  };
}

/** The task once it has ended. @throws CodedError `not_found`, and `cancelled` when `signal` fires before. */
async function ended(
  { engine, load }: {
    engine: Pick<Engine, "subscribe">;
    load: (taskId: string) => Promise<Task | undefined>;
  },
  { taskId, signal }: { taskId: string; signal: AbortSignal },
): Promise<Task> {
  for await (const { status } of engine.subscribe(taskId, { signal })) {
    if (!isTerminal(status)) continue;
    const task = await load(taskId);
    if (task !== undefined) return task;
  }
  throw new CodedError("cancelled", `Nobody waits for the end of task ${taskId} any more`);
}
