import { abortable } from "../../core/abortable.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import { isCaller } from "../caller.ts";
import type { Artifact, Task } from "../model.ts";
import { isTerminal } from "../state_machine.ts";
import { ArtifactSender, type ArtifactSenderDeps, type SentArtifact } from "./artifact_sender.ts";
import { toCollected, toReference } from "./stream_artifact.ts";
import { checkStart } from "./stream_checks.ts";
import type { StreamEvent, StreamStart } from "./stream_event.ts";
import type { StreamOptions } from "./stream_options.ts";
import type { TaskView } from "./stream_ports.ts";
import { endedError } from "./task_streams.ts";

/** Collected artifacts of all tasks, as a multiple of what one task may have. */
const MAX_COLLECTED_TASKS = 16;

export interface OutgoingStreamsDeps extends ArtifactSenderDeps {
  tasks: TaskView;
}

/** What is streamed for a received task, until it ends. */
interface OutgoingTask {
  readonly peerId: string;
  /** Fires when the task has ended, with the state. */
  readonly ended: AbortController;
  readonly open: Set<string>;
  /** Of artifacts that were given up: tells the receiver. */
  readonly farewells: Map<string, { over: AbortController; running: Promise<void> }>;
  readonly sent: Map<string, Artifact>;
  /** Bytes of each artifact for a caller of this node: they go into the record of the task. */
  readonly recordBytes: Map<string, number>;
  collectedBytes: number;
}

/** One artifact on its way. */
interface Sending {
  readonly start: StreamStart;
  readonly task: OutgoingTask;
  readonly sender: ArtifactSender;
  readonly over: AbortController;
  readonly running: Promise<void>;
  readonly stop: AbortSignal;
}

/** The artifacts that this node's agent streams to the senders of its tasks. */
export class OutgoingStreams implements AsyncDisposable {
  readonly #deps: OutgoingStreamsDeps;
  readonly #options: StreamOptions;
  readonly #tasks = new Map<string, OutgoingTask>();
  readonly #background = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(deps: OutgoingStreamsDeps, options: StreamOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** See `ArtifactStreams.send`. */
  async send(events: AsyncIterable<StreamEvent>, { signal }: { signal: AbortSignal }): Promise<void> {
    const iterator = events[Symbol.asyncIterator]();
    const idle = AbortSignal.any([signal, this.#closing.signal]);
    let sending: Sending | undefined;
    try {
      while (true) {
        const next = await abortable(iterator.next(), sending?.stop ?? idle);
        if (next.done) break;
        sending = await this.#take(next.value, { sending, signal });
      }
      if (sending !== undefined) {
        throw new CodedError("cancelled", "The artifact's stream stopped before its end");
      }
    } catch (error) {
      if (sending !== undefined) this.#giveUp(sending, toCodedError(error));
      // Not waited for: return() of a generator lasts as long as what it is awaiting.
      iterator.return?.().catch((cause: unknown) => {
        this.#deps.logger.debug("Events of a stream could not be left", { error: cause });
      });
      throw error;
    }
  }

  /** See `ArtifactStreams.references`. */
  references(taskId: string): readonly Artifact[] {
    return [...this.#tasks.get(taskId)?.sent.values() ?? []];
  }

  deleteTask(taskId: string): void {
    this.#tasks.get(taskId)?.ended.abort(new CodedError("not_found", `Task ${taskId} was removed`));
    this.#tasks.delete(taskId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new CodedError("cancelled", "The daemon is stopping"));
    await Promise.all(this.#background);
  }

  async #take(
    event: StreamEvent,
    { sending, signal }: { sending: Sending | undefined; signal: AbortSignal },
  ): Promise<Sending | undefined> {
    if (event.kind === "start") {
      if (sending === undefined) return await this.#open(event, signal);
      throw new CodedError("invalid_argument", "A stream was started before the one before it ended");
    }
    if (sending === undefined) throw new CodedError("invalid_argument", "A stream begins with its start");
    if (event.artifactId !== sending.start.artifactId || event.taskId !== sending.start.taskId) {
      throw new CodedError(
        "invalid_argument",
        `The open stream is of the artifact ${sending.start.artifactId}`,
      );
    }
    if (event.kind === "chunk") {
      this.#countRecordBytes(sending, event.data.length);
      await sending.sender.feed(event, { signal: sending.stop });
      return sending;
    }
    if (event.reason === "complete") {
      this.#keep(sending, await sending.sender.finish(event, { signal: sending.stop }));
      this.#close(sending);
    } else {
      this.#giveUp(
        sending,
        new CodedError("cancelled", event.errorMessage || "The agent gave no reason"),
        event.reason,
      );
    }
    return undefined;
  }

  async #open(start: StreamStart, signal: AbortSignal): Promise<Sending> {
    checkStart(start);
    const task = this.#taskOf(await this.#loadInbound(start.taskId));
    const farewell = task.farewells.get(start.artifactId);
    farewell?.over.abort(new CodedError("aborted", "The artifact was started anew"));
    await farewell?.running;
    this.#checkRoom(task, start);
    const { artifactId } = start;
    task.open.add(artifactId);
    task.recordBytes.set(artifactId, 0);
    const over = new AbortController();
    const sender = new ArtifactSender(this.#deps, { peerId: task.peerId, start, options: this.#options });
    const running = sender.run(AbortSignal.any([over.signal, task.ended.signal, this.#closing.signal]));
    this.#track(running);
    const stop = AbortSignal.any([signal, task.ended.signal, this.#closing.signal, sender.failed]);
    return { start, task, sender, over, running, stop };
  }

  async #loadInbound(taskId: string): Promise<Task> {
    const task = await this.#deps.tasks.load(taskId);
    if (task === undefined || task.direction !== "inbound") {
      throw new CodedError(
        "not_found",
        `Cannot stream an artifact: this node has received no task ${taskId}`,
      );
    }
    if (isTerminal(task.status)) {
      throw new CodedError(
        "failed_precondition",
        `Cannot stream an artifact: task ${taskId} is ${task.status}`,
      );
    }
    return task;
  }

  #taskOf({ taskId, peerId }: Task): OutgoingTask {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) return known;
    const ended = new AbortController();
    const task: OutgoingTask = {
      peerId,
      ended,
      open: new Set(),
      farewells: new Map(),
      sent: new Map(),
      recordBytes: new Map(),
      collectedBytes: 0,
    };
    this.#tasks.set(taskId, task);
    const watch = AbortSignal.any([ended.signal, this.#closing.signal]);
    const watching = this.#deps.tasks.onEnded(taskId, watch).then(
      (last) => ended.abort(endedError(last)),
      (error: unknown) => ended.abort(toCodedError(error)),
    );
    this.#track(watching.finally(() => {
      if (this.#tasks.get(taskId) === task) this.#tasks.delete(taskId);
    }));
    return task;
  }

  #checkRoom({ open, peerId, sent }: OutgoingTask, { artifactId }: StreamStart): void {
    const { maxOpenPerTask, maxOpenPerPeer, maxArtifactsPerTask } = this.#options;
    if (open.has(artifactId)) {
      throw new CodedError(
        "already_exists",
        `Cannot stream the artifact ${artifactId}: another call is sending it`,
      );
    }
    const ofPeer = [...this.#tasks.values()].filter((one) => one.peerId === peerId);
    const openOfPeer = ofPeer.reduce((sum, one) => sum + one.open.size, 0);
    if (
      open.size < maxOpenPerTask && openOfPeer < maxOpenPerPeer && sent.size + open.size < maxArtifactsPerTask
    ) return;
    throw new CodedError(
      "resource_exhausted",
      `Cannot stream the artifact: ${open.size} streams of the task and ${openOfPeer} to its sender are open and ` +
        `${sent.size} artifacts sent, at most ${maxOpenPerTask}, ${maxOpenPerPeer} and ${maxArtifactsPerTask} may be`,
    );
  }

  /** Callers of this node read their results in the record, which has a bound. */
  #countRecordBytes({ task, start }: Sending, more: number): void {
    if (!isCaller(task.peerId)) return;
    const { maxCollectedBytes } = this.#options;
    task.recordBytes.set(start.artifactId, (task.recordBytes.get(start.artifactId) ?? 0) + more);
    const bytes = [...task.recordBytes.values()].reduce((sum, one) => sum + one, 0);
    if (bytes <= maxCollectedBytes) return;
    throw new CodedError(
      "resource_exhausted",
      `Cannot stream the artifact: the results for ${task.peerId} would have ${bytes} bytes, at most ` +
        `${maxCollectedBytes} fit in a task; give a URL in its place`,
    );
  }

  #keep({ task, start }: Sending, sent: SentArtifact): void {
    if (sent.kind === "streamed") {
      task.sent.set(start.artifactId, toReference(sent));
      return;
    }
    const { maxCollectedBytes } = this.#options;
    const others = [...this.#tasks.values()].reduce((sum, one) => sum + one.collectedBytes, 0) -
      task.collectedBytes;
    const bytes = task.collectedBytes + sent.data.length;
    if (bytes > maxCollectedBytes || others + bytes > maxCollectedBytes * MAX_COLLECTED_TASKS) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot stream the artifact: the peer does not take streams, and ${bytes} bytes of this task and ${others} of ` +
          `others would wait for the end of their task; at most ${maxCollectedBytes} of one may`,
      );
    }
    task.collectedBytes = bytes;
    task.sent.set(start.artifactId, toCollected(sent));
  }

  #close({ task, start }: Sending): void {
    task.open.delete(start.artifactId);
  }

  /** Ends the call's part; the receiver is told in the background, for a while. */
  #giveUp(sending: Sending, error: CodedError, reason?: "canceled" | "error"): void {
    const { task, sender, over, running, start } = sending;
    this.#close(sending);
    task.recordBytes.delete(start.artifactId);
    if (task.ended.signal.aborted || this.#closing.signal.aborted) return over.abort(error);
    sender.giveUp(reason ?? (error.code === "cancelled" ? "canceled" : "error"), error.message);
    const farewell = { over, running };
    task.farewells.set(start.artifactId, farewell);
    const timer = new AbortController();
    const late = new CodedError("deadline_exceeded", "The receiver could not be told in time");
    const waiting = this.#deps.clock.sleep(this.#options.farewellMs, timer.signal).then(
      () => over.abort(late),
      () => {
        // The receiver has been told.
      },
    );
    this.#track(running.then(async () => {
      timer.abort(late);
      await waiting;
      if (task.farewells.get(start.artifactId) === farewell) task.farewells.delete(start.artifactId);
    }));
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#background.delete(tracked));
    this.#background.add(tracked);
  }
}
