import { abortable } from "../../core/abortable.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import { KeyedLock } from "../../core/keyed_lock.ts";
import { isTerminal } from "../state_machine.ts";
import type { Task } from "../model.ts";
import { ReceivedArtifact } from "./received_artifact.ts";
import type { RecentBytes } from "./recent_chunks.ts";
import type { StreamEvent, StreamStart } from "./stream_event.ts";
import type { StreamOptions } from "./stream_options.ts";
import type { ArtifactSpool, SpoolChunk, SpoolReader } from "./stream_ports.ts";
import { Wakeup } from "./wakeup.ts";

/** What one subscriber has of one artifact. */
interface Cursor {
  readonly follow: ReturnType<ReceivedArtifact["follow"]>;
  /** Reads from the disk what is not in memory any more. */
  reader: SpoolReader | undefined;
  done: boolean;
}

/** What the streams of a task work with. */
export interface TaskStreamsDeps {
  spool: ArtifactSpool;
  clock: Clock;
  /** Counts what the artifacts of this and other tasks keep for those who read along. */
  recent: RecentBytes;
  options: StreamOptions;
}

/** The artifacts that come for one task, and those who read them. */
export class TaskStreams {
  readonly changed = new Wakeup();
  readonly #artifacts = new Map<string, ReceivedArtifact>();
  readonly #spool: ArtifactSpool;
  readonly #clock: Clock;
  readonly #recent: RecentBytes;
  readonly #options: StreamOptions;
  readonly #locks = new KeyedLock();
  readonly taskId: string;
  readonly peerId: string;
  #subscribers = 0;
  #ended: Task | undefined;
  #closed: CodedError | undefined;

  constructor(
    task: Task,
    { spool, clock, recent, options }: TaskStreamsDeps,
  ) {
    this.taskId = task.taskId;
    this.peerId = task.peerId;
    this.#spool = spool;
    this.#clock = clock;
    this.#recent = recent;
    this.#options = options;
  }

  /** Takes up what an earlier run left on disk. */
  async load(): Promise<void> {
    for (const file of await this.#spool.load(this.taskId)) {
      this.#artifacts.set(file.start.artifactId, this.#follow(file));
    }
  }

  get artifacts(): readonly ReceivedArtifact[] {
    return [...this.#artifacts.values()];
  }

  /** How many have not ended. */
  get open(): number {
    return this.artifacts.filter(({ end }) => end === undefined).length;
  }

  /**
   * The artifact that a channel opens: the one it goes on with, or a new one in the place of an earlier attempt. Throws
   * `failed_precondition`, `resource_exhausted` or `unavailable`.
   */
  admit(start: StreamStart, streamId: string): Promise<ReceivedArtifact> {
    return this.#locks.run("", async () => {
      this.#checkOpen();
      const earlier = this.#artifacts.get(start.artifactId);
      if (earlier?.file.streamId === streamId) {
        const { end } = earlier;
        if (end === undefined || end.reason === "complete") return earlier;
        throw new CodedError(
          "failed_precondition",
          `The artifact has ended as ${end.reason}: ${end.errorMessage}`,
        );
      }
      this.#checkRoom(earlier);
      await this.#drop(start.artifactId, new CodedError("aborted", "The artifact was started anew"));
      const artifact = this.#follow(await this.#spool.create(start, streamId));
      this.#artifacts.set(start.artifactId, artifact);
      this.changed.wake();
      return artifact;
    });
  }

  /** The task has ended: what is not whole never will be. */
  end(task: Task): Promise<void> {
    return this.#locks.run("", async () => {
      this.#ended = task;
      const error = endedError(task);
      await Promise.all(this.artifacts.map((artifact) => artifact.giveUp(error)));
      this.changed.wake();
    });
  }

  /** Closes all files; what is on disk stays. Subscribers end with `error`. */
  close(error: CodedError): Promise<void> {
    return this.#locks.run("", async () => {
      this.#closed = error;
      this.changed.wake();
      await Promise.all(this.artifacts.map((artifact) => artifact.close(error)));
    });
  }

  /** Removes everything. */
  remove(error: CodedError): Promise<void> {
    return this.#locks.run("", async () => {
      this.#closed = error;
      for (const artifactId of [...this.#artifacts.keys()]) await this.#drop(artifactId, error);
      await this.#spool.removeTask(this.taskId);
    });
  }

  /**
   * All artifacts from their beginning, until the task and all of them have ended; with an `artifactId` that one, until it is
   * whole or the task has ended. Throws `resource_exhausted`.
   */
  async *events(signal: AbortSignal, { artifactId = "" } = {}): AsyncGenerator<StreamEvent> {
    if (this.#subscribers >= this.#options.maxSubscribersPerTask) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot subscribe: the streams of the task have ${this.#subscribers} subscribers already`,
      );
    }
    const cursors = new Map<ReceivedArtifact, Cursor>();
    this.#subscribers++;
    try {
      while (true) {
        const changed = this.changed.next;
        // Looked at before the artifacts: the end of the task ends them, which is still to be told.
        const ended = this.#ended !== undefined;
        if (this.#closed !== undefined) throw this.#closed;
        let told = false;
        for (const artifact of this.#wanted(artifactId)) {
          for await (const event of step(artifact, cursors)) {
            told = true;
            yield event;
            if (artifactId !== "" && event.kind === "end" && event.reason === "complete") return;
          }
        }
        forget(cursors, this.#artifacts);
        if (told) continue;
        if (ended) return;
        await abortable(changed, signal);
      }
    } finally {
      this.#subscribers--;
      for (const cursor of cursors.values()) leave(cursor);
    }
  }

  #wanted(artifactId: string): readonly ReceivedArtifact[] {
    if (artifactId === "") return this.artifacts;
    const artifact = this.#artifacts.get(artifactId);
    return artifact === undefined ? [] : [artifact];
  }

  #follow(file: Awaited<ReturnType<ArtifactSpool["create"]>>): ReceivedArtifact {
    return new ReceivedArtifact(file, {
      options: this.#options,
      clock: this.#clock,
      recent: this.#recent,
      onChange: () => this.changed.wake(),
    });
  }

  async #drop(artifactId: string, error: CodedError): Promise<void> {
    const artifact = this.#artifacts.get(artifactId);
    this.#artifacts.delete(artifactId);
    await artifact?.discard(error);
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#ended !== undefined) throw endedError(this.#ended);
  }

  #checkRoom(earlier: ReceivedArtifact | undefined): void {
    const { maxOpenPerTask, maxArtifactsPerTask } = this.#options;
    const open = this.open - (earlier !== undefined && earlier.end === undefined ? 1 : 0);
    if (open < maxOpenPerTask && (earlier !== undefined || this.#artifacts.size < maxArtifactsPerTask)) {
      return;
    }
    throw new CodedError(
      "resource_exhausted",
      `Cannot stream the artifact: the task has ${this.#artifacts.size} artifacts of which ${open} are open, ` +
        `at most ${maxArtifactsPerTask} and ${maxOpenPerTask} are taken`,
    );
  }
}

/** Why nothing is streamed for a task that has ended. */
export function endedError(task: Task): CodedError {
  if (!isTerminal(task.status)) throw new TypeError(`Task ${task.taskId} has not ended`);
  return new CodedError("cancelled", `The artifact is not taken any more: its task is ${task.status}`, {
    details: { task_status: task.status },
  });
}

/** What a subscriber is told next of an artifact: at most its start, one chunk and its end. */
async function* step(
  artifact: ReceivedArtifact,
  cursors: Map<ReceivedArtifact, Cursor>,
): AsyncGenerator<StreamEvent> {
  let cursor = cursors.get(artifact);
  if (cursor === undefined) {
    cursor = { follow: artifact.follow(), reader: undefined, done: false };
    cursors.set(artifact, cursor);
    yield artifact.start;
  }
  if (cursor.done) return;
  // Looked at before the next chunk: what is not there yet may be when the end comes.
  const { end } = artifact;
  const chunk = end === undefined || end.reason === "complete"
    ? await nextChunk(artifact, cursor)
    : undefined;
  if (chunk !== undefined) {
    const { taskId, artifactId } = artifact.start;
    const { position } = cursor.follow;
    yield { kind: "chunk", taskId, artifactId, sequence: position.chunks, ...chunk };
    position.chunks++;
    position.bytes += chunk.data.length;
    artifact.moved();
  } else if (end !== undefined) {
    cursor.done = true;
    leave(cursor);
    yield end;
  }
}

async function nextChunk(artifact: ReceivedArtifact, cursor: Cursor): Promise<SpoolChunk | undefined> {
  const { position } = cursor.follow;
  if (position.chunks >= artifact.file.chunks) return undefined;
  try {
    const recent = artifact.recent(position.chunks);
    if (recent === undefined) {
      cursor.reader ??= await artifact.file.read({ ...position });
      return await cursor.reader.next();
    }
    cursor.reader?.close();
    cursor.reader = undefined;
    return recent;
  } catch (error) {
    // Removed meanwhile: how it ended, or what came in its place, is told next.
    if (artifact.stopped.aborted) return undefined;
    throw error;
  }
}

function leave({ follow, reader }: Cursor): void {
  follow[Symbol.dispose]();
  reader?.close();
}

/** Leaves artifacts in whose place another attempt has come. */
function forget(
  cursors: Map<ReceivedArtifact, Cursor>,
  artifacts: ReadonlyMap<string, ReceivedArtifact>,
): void {
  for (const [artifact, cursor] of cursors) {
    if (artifacts.get(artifact.start.artifactId) === artifact) continue;
    cursors.delete(artifact);
    leave(cursor);
  }
}
