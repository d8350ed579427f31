import { NodeService, type SubscribeTaskStreamResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import type { StreamChunk, StreamStart } from "../gen/agentanycast/v1/streaming_pb.ts";
import { type ArtifactEvent, type ArtifactStream, DaemonArtifactStream } from "./artifact_stream.ts";
import { type DaemonClient, isTransient } from "./daemon_client.ts";
import { AgentAnycastError, TaskNotFoundError, TaskStreamError, toAgentAnycastError } from "./errors.ts";
import { Outage } from "./outage.ts";

/** Bytes kept of an artifact that nobody reads while others are read; it is fetched again when its turn comes. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** What reading the artifacts of a task needs. */
export interface FeedOptions {
  readonly signal: AbortSignal;
  /** How long the daemon may be gone. */
  readonly reconnectMs: number;
}

/**
 * The artifacts that are streamed for a task, from one subscription. Nothing is read ahead of those who read: whoever waits for
 * something takes the next event for all. An artifact that is not read meanwhile leaves, and later gets a subscription of its
 * own, from where it was; so does one that is read after the loop over the artifacts was left.
 */
export class ArtifactFeed {
  readonly #daemon: DaemonClient;
  readonly #taskId: string;
  readonly #options: FeedOptions;
  readonly #over = new AbortController();
  readonly #events: AsyncGenerator<FeedEvent>;
  readonly #intakes = new Map<string, Intake>();
  /** Artifacts that began in this subscription: what begins twice is started anew. */
  readonly #begun = new Set<string>();
  readonly #fresh: Intake[] = [];
  #pulling: Promise<void> | undefined;
  #end: { readonly error: unknown } | undefined;

  constructor(daemon: DaemonClient, taskId: string, options: FeedOptions) {
    this.#daemon = daemon;
    this.#taskId = taskId;
    this.#options = options;
    const signal = AbortSignal.any([options.signal, this.#over.signal]);
    this.#events = eventsOf(daemon, taskId, { ...options, signal });
  }

  /** Each artifact as it begins, until the task is over. Throws what {@link eventsOf} throws. */
  async *streams(): AsyncGenerator<ArtifactStream> {
    try {
      while (true) {
        const intake = this.#fresh.shift();
        if (intake !== undefined) yield new DaemonArtifactStream(intake.start, () => this.#read(intake));
        else if (this.#end === undefined) await this.#pull();
        else if (this.#end.error === undefined) return;
        else throw this.#end.error;
      }
    } finally {
      for (const intake of this.#intakes.values()) intake.detach();
      this.#over.abort();
    }
  }

  async *#read(intake: Intake): AsyncGenerator<ArtifactEvent> {
    intake.isRead = true;
    try {
      while (true) {
        const event = intake.take();
        if (event !== undefined) yield event;
        if (event?.kind === "end") return;
        if (event !== undefined) continue;
        if (intake.failure !== undefined) throw intake.failure;
        if (intake.isDetached) break;
        if (this.#end !== undefined) throw this.#end.error ?? endedError(intake.start);
        await this.#pull();
      }
      yield* this.#readAlone(intake);
    } finally {
      intake.leave();
    }
  }

  /** The rest of an artifact from a subscription of its own. */
  async *#readAlone({ start, next }: Intake): AsyncGenerator<ArtifactEvent> {
    let expected = next;
    let hasBegun = false;
    const { artifactId } = start;
    for await (const { case: kind, value } of eventsOf(this.#daemon, this.#taskId, this.#options)) {
      if (kind === "again") hasBegun = false;
      else if (value.artifactId !== artifactId) continue;
      else if (kind === "streamEnd") return yield { kind: "end", end: value };
      else if (kind === "streamStart") {
        if (hasBegun) throw restartedError(start);
        hasBegun = true;
      } else if (value.sequence >= expected) {
        expected = value.sequence + 1;
        yield { kind: "chunk", chunk: value };
      }
    }
    throw endedError(start);
  }

  /** Takes the next event for whom it concerns. All who wait share it. */
  #pull(): Promise<void> {
    return this.#pulling ??= this.#pullOne().finally(() => this.#pulling = undefined);
  }

  async #pullOne(): Promise<void> {
    try {
      const { done, value } = await this.#events.next();
      if (done) this.#end = { error: undefined };
      else this.#dispatch(value);
    } catch (error) {
      this.#end = { error };
    }
  }

  #dispatch({ case: kind, value }: FeedEvent): void {
    switch (kind) {
      case "again":
        return this.#begun.clear();
      case "streamStart":
        return this.#begin(value);
      case "streamChunk":
        return this.#intakes.get(value.artifactId)?.addChunk(value);
      case "streamEnd":
        return this.#intakes.get(value.artifactId)?.add({ kind: "end", end: value });
      default:
        return kind satisfies never;
    }
  }

  #begin(start: StreamStart): void {
    const { artifactId } = start;
    const earlier = this.#intakes.get(artifactId);
    const isRestart = this.#begun.has(artifactId);
    this.#begun.add(artifactId);
    if (earlier !== undefined && !isRestart) return; // told again after a lost connection
    earlier?.fail(restartedError(start));
    const intake = new Intake(start);
    this.#intakes.set(artifactId, intake);
    this.#fresh.push(intake);
  }
}

/** What has come of one artifact and was not read yet. */
class Intake {
  /** Whether the feed has nothing more for it. */
  isDetached = false;
  isRead = false;
  failure: TaskStreamError | undefined;
  /** The sequence that comes next. */
  next = 0;
  #queue: ArtifactEvent[] = [];
  #bytes = 0;

  constructor(readonly start: StreamStart) {}

  addChunk(chunk: StreamChunk): void {
    const { sequence, data } = chunk;
    if (sequence < this.next) return; // told again after a lost connection
    if (this.#queue.length > 0 && this.#bytes + data.length > MAX_KEPT_BYTES) this.detach();
    if (this.isDetached) return;
    this.next = sequence + 1;
    this.#bytes += data.length;
    this.add({ kind: "chunk", chunk });
  }

  add(event: ArtifactEvent): void {
    if (!this.isDetached && this.#queue.at(-1)?.kind !== "end") this.#queue.push(event);
  }

  take(): ArtifactEvent | undefined {
    const event = this.#queue.shift();
    if (event?.kind === "chunk") this.#bytes -= event.chunk.data.length;
    return event;
  }

  /** From here on it is fetched apart; from its beginning when nobody has begun to read. */
  detach(): void {
    const isWhole = this.#queue.at(-1)?.kind === "end";
    if (this.isDetached || isWhole) return;
    this.isDetached = true;
    if (!this.isRead) this.#drop();
  }

  fail(error: TaskStreamError): void {
    this.failure = error;
    this.isDetached = true;
    this.#drop();
  }

  /** Nobody reads it any more. */
  leave(): void {
    this.isDetached = true;
    this.#drop();
  }

  #drop(): void {
    this.#queue = [];
    this.#bytes = 0;
    this.next = 0;
  }
}

type Event = Exclude<SubscribeTaskStreamResponse["event"], { case: undefined }>;

/** An event of the streams of a task, or that the subscription has begun anew, with all artifacts from their beginning. */
type FeedEvent = Event | { readonly case: "again"; readonly value?: undefined };

/**
 * The events of all artifacts of a task until it is over; a lost connection is made again. Throws `DaemonConnectionError`,
 * `TaskNotFoundError`, `cancelled`, or why the daemon has no streams of the task.
 */
async function* eventsOf(
  daemon: DaemonClient,
  taskId: string,
  { signal, reconnectMs }: FeedOptions,
): AsyncGenerator<FeedEvent> {
  const outage = new Outage(reconnectMs);
  while (true) {
    try {
      const method = NodeService.method.subscribeTaskStream;
      for await (const { event } of daemon.stream(method, { taskId }, signal)) {
        outage.over();
        if (event.case !== undefined) yield event;
      }
      return;
    } catch (error) {
      if (signal.aborted || !isTransient(error)) throw toFeedError(error, signal);
      await outage.pause(error, signal).catch((cause) => {
        throw toFeedError(cause, signal);
      });
    }
    yield { case: "again" };
  }
}

function toFeedError(error: unknown, signal: AbortSignal): AgentAnycastError {
  if (signal.aborted) {
    return new AgentAnycastError("cancelled", "Nobody reads any more", { cause: signal.reason });
  }
  const known = toAgentAnycastError(error);
  return known.code === "not_found" ? new TaskNotFoundError(known.message, { cause: error }) : known;
}

function endedError({ artifactId, taskId }: StreamStart): TaskStreamError {
  return new TaskStreamError(
    "aborted",
    `Artifact ${artifactId} is not whole: task ${taskId} ended before it`,
  );
}

function restartedError({ artifactId }: StreamStart): TaskStreamError {
  return new TaskStreamError(
    "aborted",
    `Artifact ${artifactId} was started anew: read what comes in its place`,
  );
}
