import { abortable } from "../../core/abortable.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { callerOf, isCaller } from "../caller.ts";
import type { Artifact, Task } from "../model.ts";
import { isTerminal } from "../state_machine.ts";
import { RecentBytes } from "./recent_chunks.ts";
import { receiveArtifact, refuse } from "./receive_channel.ts";
import type { ReceivedArtifact } from "./received_artifact.ts";
import { collectArtifacts, resolveArtifacts } from "./stream_artifact.ts";
import { checkStart } from "./stream_checks.ts";
import type { StreamEvent } from "./stream_event.ts";
import type { StreamOptions } from "./stream_options.ts";
import type { ArtifactSpool, ReceiverChannel, SenderMessage, TaskView } from "./stream_ports.ts";
import { endedError, TaskStreams } from "./task_streams.ts";

export interface IncomingStreamsDeps {
  tasks: TaskView;
  spool: ArtifactSpool;
  clock: Clock;
  logger: Logger;
}

/** A task whose streams are in memory. */
interface Loaded {
  readonly streams: TaskStreams;
  readonly ready: Promise<void>;
  readonly watch: AbortController;
  users: number;
  ended: boolean;
}

/** The channel that an artifact comes on at present. */
interface Serving {
  readonly over: AbortController;
  readonly finished: Promise<void>;
}

/** The artifacts that arrive at this node: those that peers stream for the tasks it has sent, and its agent for callers. */
export class IncomingStreams implements AsyncDisposable {
  readonly #deps: IncomingStreamsDeps;
  readonly #options: StreamOptions;
  readonly #tasks = new Map<string, Loaded>();
  readonly #serving = new Map<ReceivedArtifact, Serving>();
  readonly #channels = new Map<string, number>();
  readonly #recent = new RecentBytes();
  readonly #background = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(deps: IncomingStreamsDeps, options: StreamOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** See `ArtifactStreams.accept`. */
  async accept(channel: ReceiverChannel): Promise<void> {
    const { peerId } = channel;
    const open = this.#channels.get(peerId) ?? 0;
    if (open >= this.#options.maxOpenPerPeer) {
      return await refuse(
        channel,
        new CodedError("resource_exhausted", `${open} streams of the peer are open already`),
      );
    }
    this.#channels.set(peerId, open + 1);
    const finished = this.#serve(channel);
    this.#track(finished);
    try {
      await finished;
    } finally {
      const left = (this.#channels.get(peerId) ?? 1) - 1;
      if (left === 0) this.#channels.delete(peerId);
      else this.#channels.set(peerId, left);
    }
  }

  /** See `ArtifactStreams.subscribe`. */
  async *subscribe(
    taskId: string,
    { signal, artifactId = "" }: { signal: AbortSignal; artifactId?: string },
  ): AsyncGenerator<StreamEvent> {
    const task = await this.#deps.tasks.load(taskId);
    if (task === undefined) throw new CodedError("not_found", `No task ${taskId} on this node`);
    if (!arrivesHere(task)) {
      throw new CodedError(
        "failed_precondition",
        `Cannot subscribe to the streams of task ${taskId}: this node sends them; subscribe where the task came from`,
      );
    }
    const loaded = await this.#acquire(task);
    try {
      yield* loaded.streams.events(AbortSignal.any([signal, this.#closing.signal]), { artifactId });
    } finally {
      this.#release(loaded);
    }
  }

  /** See `ArtifactStreams.resolve`. */
  async resolve(taskId: string, artifacts: readonly Artifact[]): Promise<readonly Artifact[]> {
    const { maxInlineBytes, maxCollectedBytes } = this.#options;
    if (!this.#deps.spool.has(taskId)) {
      return await resolveArtifacts(artifacts, { received: [], maxInlineBytes });
    }
    const task = await this.#deps.tasks.load(taskId);
    if (task === undefined) throw new CodedError("not_found", `No task ${taskId} on this node`);
    const loaded = await this.#acquire(task);
    try {
      const received = loaded.streams.artifacts;
      const bytes = received.reduce((sum, { file }) => sum + file.bytes, 0);
      // A caller of this node need not be able to read its files.
      const isInline = callerOf(task) !== undefined && bytes <= maxCollectedBytes;
      return await resolveArtifacts(artifacts, {
        received,
        maxInlineBytes: isInline ? maxCollectedBytes : maxInlineBytes,
      });
    } finally {
      this.#release(loaded);
    }
  }

  /** See `ArtifactStreams.collect`. */
  async collect(task: Task): Promise<readonly Artifact[]> {
    if (!this.#deps.spool.has(task.taskId)) return [];
    const loaded = await this.#acquire(task);
    try {
      return await collectArtifacts(loaded.streams.artifacts);
    } finally {
      this.#release(loaded);
    }
  }

  /** See `ArtifactStreams.deleteTask`. */
  async deleteTask(taskId: string): Promise<void> {
    const loaded = this.#tasks.get(taskId);
    if (loaded === undefined) return await this.#deps.spool.removeTask(taskId);
    const error = new CodedError("not_found", `Task ${taskId} was removed`);
    this.#forget(loaded, error);
    await loaded.ready.catch(() => {
      // Whoever loaded it is told; what is on disk goes all the same.
    });
    await loaded.streams.remove(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const error = new CodedError("cancelled", "The daemon is stopping");
    this.#closing.abort(error);
    const closing = [...this.#tasks.values()].map((loaded) => {
      this.#forget(loaded, error);
      return loaded.streams.close(error);
    });
    await Promise.allSettled(closing);
    await Promise.allSettled(this.#background);
  }

  async #serve(channel: ReceiverChannel): Promise<void> {
    const messages = channel.messages()[Symbol.asyncIterator]();
    let loaded: Loaded | undefined;
    try {
      const first = await this.#firstMessage(messages);
      if (first.type !== "open") {
        throw new CodedError("invalid_argument", "A channel begins with its opening");
      }
      checkStart(first.start);
      loaded = await this.#acquire(await this.#loadExpected(first.start.taskId, channel.peerId));
      this.#checkPeer(channel.peerId, loaded.streams);
      const artifact = await loaded.streams.admit(first.start, first.streamId);
      await this.#receive({ channel, messages, streams: loaded.streams, artifact });
    } catch (error) {
      this.#deps.logger.debug("Stream of an artifact was refused", { peer: channel.peerId, error });
      if (this.#closing.signal.aborted) channel.abort(toCodedError(error));
      else await refuse(channel, error);
    } finally {
      if (loaded !== undefined) this.#release(loaded);
      await messages.return?.();
    }
  }

  async #firstMessage(messages: AsyncIterator<SenderMessage>): Promise<SenderMessage> {
    const timer = new AbortController();
    const late = new CodedError("deadline_exceeded", "A channel was opened and nothing said on it");
    const waiting = this.#deps.clock.sleep(this.#options.openTimeoutMs, timer.signal).then(
      () => timer.abort(late),
      () => {
        // Something came in time.
      },
    );
    try {
      const first = await abortable(messages.next(), AbortSignal.any([timer.signal, this.#closing.signal]));
      if (!first.done) return first.value;
      throw new CodedError("invalid_argument", "A channel was opened and nothing said on it");
    } finally {
      timer.abort();
      await waiting;
    }
  }

  /** One answer for a task that is not there and one of somebody else: who asks learns nothing. */
  async #loadExpected(taskId: string, peerId: string): Promise<Task> {
    const task = await this.#deps.tasks.load(taskId);
    if (task === undefined || !arrivesHere(task) || task.peerId !== peerId) {
      throw new CodedError("not_found", `Cannot take the artifact: no task ${taskId} was sent to ${peerId}`);
    }
    if (isTerminal(task.status)) throw endedError(task);
    return task;
  }

  /** Streams whose channel broke count too: they hold files. */
  #checkPeer(peerId: string, streams: TaskStreams): void {
    const ofPeer = [...this.#tasks.values()].filter((one) => one.streams.peerId === peerId);
    const open = ofPeer.reduce((sum, one) => sum + one.streams.open, 0) - streams.open;
    if (open < this.#options.maxOpenPerPeer) return;
    throw new CodedError("resource_exhausted", `Cannot take the artifact: ${open} of the peer are open`);
  }

  async #receive(
    { channel, messages, streams, artifact }: {
      channel: ReceiverChannel;
      messages: AsyncIterator<SenderMessage>;
      streams: TaskStreams;
      artifact: ReceivedArtifact;
    },
  ): Promise<void> {
    const over = new AbortController();
    const before = this.#serving.get(artifact);
    const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
    const serving: Serving = { over, finished };
    this.#serving.set(artifact, serving);
    before?.over.abort(new CodedError("aborted", "The artifact goes on in another channel"));
    await before?.finished;
    const deps = { channel, messages, artifact, changed: streams.changed, options: this.#options };
    try {
      const ended = await receiveArtifact(deps, AbortSignal.any([over.signal, this.#closing.signal]));
      if (ended) await channel.close();
      else channel.abort(new CodedError("unavailable", "The channel broke"));
    } catch (error) {
      if (over.signal.aborted) return channel.abort(toCodedError(error));
      if (!this.#closing.signal.aborted) await artifact.giveUp(toCodedError(error));
      throw error;
    } finally {
      finish();
      if (this.#serving.get(artifact) === serving) this.#serving.delete(artifact);
    }
  }

  async #acquire(task: Task): Promise<Loaded> {
    this.#closing.signal.throwIfAborted();
    const loaded = this.#tasks.get(task.taskId) ?? this.#load(task);
    loaded.users++;
    try {
      await loaded.ready;
      return loaded;
    } catch (error) {
      this.#release(loaded);
      throw error;
    }
  }

  #load(task: Task): Loaded {
    const streams = new TaskStreams(task, { ...this.#deps, recent: this.#recent, options: this.#options });
    const ready = streams.load();
    const loaded: Loaded = { streams, ready, watch: new AbortController(), users: 0, ended: false };
    this.#tasks.set(task.taskId, loaded);
    this.#track(this.#watch(loaded));
    return loaded;
  }

  async #watch(loaded: Loaded): Promise<void> {
    const { streams, ready, watch } = loaded;
    try {
      await ready;
      const task = await this.#deps.tasks.onEnded(streams.taskId, watch.signal);
      loaded.ended = true;
      await streams.end(task);
    } catch (error) {
      if (watch.signal.aborted) return;
      this.#deps.logger.warn("Streams of a task cannot be kept", { taskId: streams.taskId, error });
      this.#forget(loaded, toCodedError(error));
      await streams.close(toCodedError(error));
    }
    this.#unload(loaded);
  }

  #release(loaded: Loaded): void {
    loaded.users--;
    this.#unload(loaded);
  }

  /** Lets go of a task that nobody uses and for which nothing is open. */
  #unload(loaded: Loaded): void {
    if (loaded.users > 0 || this.#tasks.get(loaded.streams.taskId) !== loaded) return;
    if (!loaded.ended && loaded.streams.open > 0) return;
    const error = new CodedError("cancelled", "Nobody uses the streams of the task");
    this.#forget(loaded, error);
    this.#track(loaded.streams.close(error));
  }

  #forget(loaded: Loaded, error: CodedError): void {
    loaded.watch.abort(error);
    if (this.#tasks.get(loaded.streams.taskId) === loaded) this.#tasks.delete(loaded.streams.taskId);
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error) => {
      this.#deps.logger.warn("Work on streamed artifacts failed", { error });
    }).finally(() => this.#background.delete(tracked));
    this.#background.add(tracked);
  }
}

/** Whether the artifacts of a task end at this node. */
function arrivesHere({ direction, peerId }: Task): boolean {
  return direction === "outbound" || isCaller(peerId);
}
