import { ArtifactStreams } from "../../a2a/streams/artifact_streams.ts";
import type { StreamEvent, StreamStart } from "../../a2a/streams/stream_event.ts";
import type { StreamOptions } from "../../a2a/streams/stream_options.ts";
import type {
  ArtifactChannel,
  ArtifactSpool,
  ReceiverChannel,
  ReceiverMessage,
  SenderChannel,
  SenderMessage,
  SpoolChunk,
  SpoolFile,
  TaskView,
} from "../../a2a/streams/stream_ports.ts";
import type { Task, TaskDirection, TaskStatus } from "../../a2a/model.ts";
import { isTerminal } from "../../a2a/state_machine.ts";
import { abortable } from "../../core/abortable.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** One direction of a channel: a queue that takes `capacity` messages before its writer waits. */
class Pipe<T> {
  #items: T[] = [];
  #ended = false;
  #error: Error | undefined;
  #waiting: (() => void)[] = [];

  constructor(readonly capacity: number) {}

  async push(item: T): Promise<void> {
    while (this.#error === undefined && this.#items.length >= this.capacity) await this.#change();
    if (this.#error !== undefined) throw this.#error;
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }

  async pull(): Promise<IteratorResult<T>> {
    while (true) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#wake();
        return { done: false, value: item };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Looks at each message of a channel; what it throws cuts the channel instead of delivering it. */
export type Tap = (message: SenderMessage | ReceiverMessage) => void;

/** Both ends of a channel in memory. */
export function channelPair(
  ids: { sender: string; receiver: string },
  { tap = () => {}, capacity = 4 }: { tap?: Tap; capacity?: number } = {},
): { near: SenderChannel; far: ReceiverChannel; cut: () => void } {
  const there = new Pipe<SenderMessage>(capacity);
  const back = new Pipe<ReceiverMessage>(capacity);
  const fail = (error: Error) => [there, back].forEach((pipe) => pipe.fail(error));
  const end = <O extends SenderMessage | ReceiverMessage, I>(
    peerId: string,
    { out, into }: { out: Pipe<O>; into: Pipe<I> },
  ): ArtifactChannel<O, I> => ({
    peerId,
    async send(message) {
      try {
        tap(message);
      } catch (error) {
        fail(error as Error);
      }
      await out.push(message);
    },
    messages: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => into.pull(),
        return() {
          into.fail(new CodedError("unavailable", "Nobody reads the channel"));
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    }),
    close() {
      out.end();
      return Promise.resolve();
    },
    abort: fail,
  });
  return {
    near: end(ids.receiver, { out: there, into: back }),
    far: end(ids.sender, { out: back, into: there }),
    cut: () => fail(new CodedError("unavailable", "The link was cut")),
  };
}

/** Artifacts in memory, which a second engine finds again. */
export class MemorySpool implements ArtifactSpool {
  readonly files = new Map<string, MemorySpoolFile>();
  /** Thrown by the next append or flush. */
  fault: { on: "append" | "flush" | "create"; error: Error } | undefined;
  /** How often a file was opened for reading. */
  reads = 0;
  /** While set, nothing becomes durable. */
  held: Promise<void> | undefined;

  async create(start: StreamStart, streamId: string): Promise<SpoolFile> {
    await Promise.resolve();
    this.check("create");
    const file = new MemorySpoolFile(this, { start, streamId, chunks: [] });
    this.files.set(keyOf(start), file);
    return file;
  }

  has(taskId: string): boolean {
    return [...this.files.values()].some(({ start }) => start.taskId === taskId);
  }

  load(taskId: string): Promise<readonly SpoolFile[]> {
    const files = [...this.files.values()].filter(({ start }) => start.taskId === taskId);
    for (const file of files) this.files.set(keyOf(file.start), file.reopened());
    return Promise.resolve([...this.files.values()].filter(({ start }) => start.taskId === taskId));
  }

  async removeTask(taskId: string): Promise<void> {
    for (const file of [...this.files.values()]) if (file.start.taskId === taskId) await file.remove();
  }

  check(on: "append" | "flush" | "create"): void {
    if (this.fault?.on === on) throw this.fault.error;
  }
}

function keyOf({ taskId, artifactId }: StreamStart): string {
  return JSON.stringify([taskId, artifactId]);
}

class MemorySpoolFile implements SpoolFile {
  readonly start: StreamStart;
  readonly streamId: string;
  readonly path = "/artifacts/one.data";
  sha256: Uint8Array | undefined;
  readonly #spool: MemorySpool;
  readonly #chunks: SpoolChunk[];
  #durable: number;

  constructor(
    spool: MemorySpool,
    { start, streamId, chunks }: { start: StreamStart; streamId: string; chunks: SpoolChunk[] },
  ) {
    this.#spool = spool;
    this.start = start;
    this.streamId = streamId;
    this.#chunks = chunks;
    this.#durable = chunks.length;
  }

  get chunks(): number {
    return this.#durable;
  }

  get bytes(): number {
    return this.#chunks.slice(0, this.#durable).reduce((sum, { data }) => sum + data.length, 0);
  }

  reopened(): MemorySpoolFile {
    const chunks = this.#chunks.slice(0, this.#durable);
    const file = new MemorySpoolFile(this.#spool, { start: this.start, streamId: this.streamId, chunks });
    file.sha256 = this.sha256;
    return file;
  }

  append(chunks: readonly SpoolChunk[]): Promise<void> {
    this.#spool.check("append");
    this.#chunks.push(...chunks);
    return Promise.resolve();
  }

  async flush(): Promise<void> {
    const count = this.#chunks.length;
    await this.#spool.held;
    await Promise.resolve();
    this.#spool.check("flush");
    this.#durable = count;
  }

  seal(sha256: Uint8Array): Promise<void> {
    this.sha256 = sha256;
    return Promise.resolve();
  }

  read({ chunks }: { chunks: number } = { chunks: 0 }) {
    let next = chunks;
    this.#spool.reads++;
    return Promise.resolve({
      next: () => Promise.resolve(next < this.#durable ? this.#chunks[next++] : undefined),
      close: () => {},
    });
  }

  close(): void {}

  remove(): Promise<void> {
    if (this.#spool.files.get(keyOf(this.start)) === this) this.#spool.files.delete(keyOf(this.start));
    return Promise.resolve();
  }
}

/** Tasks of one node that a test ends. */
export class FakeTasks implements TaskView {
  readonly #tasks = new Map<string, Task>();
  readonly #waiting = new Map<string, PromiseWithResolvers<Task>>();

  add(
    taskId: string,
    { direction, peerId, caller }: { direction: TaskDirection; peerId: string; caller?: string },
  ): void {
    this.#tasks.set(taskId, {
      taskId,
      contextId: "",
      direction,
      peerId,
      status: "working",
      targetSkillId: "",
      messages: [],
      artifacts: [],
      metadata: {},
      errorMessage: "",
      createdAtMs: 0,
      updatedAtMs: 0,
      generation: 1,
      deadlineMs: 0,
      trace: { traceParent: "", traceState: "" },
      cancelRequested: false,
      ...(caller !== undefined && { caller }),
    });
    this.#waiting.set(taskId, Promise.withResolvers());
  }

  end(taskId: string, status: TaskStatus): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) throw new Error(`no task ${taskId}`);
    const ended = { ...task, status };
    this.#tasks.set(taskId, ended);
    this.#waiting.get(taskId)?.resolve(ended);
  }

  load(taskId: string): Promise<Task | undefined> {
    return Promise.resolve(this.#tasks.get(taskId));
  }

  async onEnded(taskId: string, signal: AbortSignal): Promise<Task> {
    const task = this.#tasks.get(taskId);
    if (task !== undefined && isTerminal(task.status)) return task;
    const waiting = this.#waiting.get(taskId);
    if (waiting === undefined) throw new CodedError("not_found", `no task ${taskId}`);
    return await abortable(waiting.promise, signal);
  }
}

/** An originator and an assignee with one task between them, over channels that a test cuts. */
export class StreamNet implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly spool = new MemorySpool();
  readonly originatorTasks = new FakeTasks();
  readonly assigneeTasks = new FakeTasks();
  readonly assignee: ArtifactStreams;
  originator: ArtifactStreams;
  tap: Tap = () => {};
  /** Thrown instead of opening a channel. */
  refusal: Error | undefined;
  /** How many channels were opened. */
  opened = 0;
  #cuts = new Set<() => void>();
  readonly #options: Partial<StreamOptions>;
  readonly #accepting = new Set<Promise<void>>();

  /** @param given with all that is written flushed at once, unless it says otherwise. */
  constructor(given: Partial<StreamOptions> = {}) {
    const options = this.#options = { flushBytes: 1, ...given };
    this.addTask("task");
    this.originator = this.#newOriginator();
    const link = {
      open: (_peerId: string, { signal }: { signal: AbortSignal }) => {
        signal.throwIfAborted();
        if (this.refusal !== undefined) return Promise.reject(this.refusal);
        return Promise.resolve(this.connect());
      },
    };
    const deps = {
      tasks: this.assigneeTasks,
      spool: new MemorySpool(),
      clock: this.clock,
      logger: silentLogger,
    };
    this.assignee = new ArtifactStreams({ ...deps, link, random: () => 0.5 }, options);
  }

  addTask(taskId: string): void {
    this.originatorTasks.add(taskId, { direction: "outbound", peerId: "assignee" });
    this.assigneeTasks.add(taskId, { direction: "inbound", peerId: "originator" });
  }

  /** A channel to the originator; as `from`, when that is somebody else. */
  connect(from = "assignee"): SenderChannel {
    this.opened++;
    const { near, far, cut } = channelPair({ sender: from, receiver: "originator" }, {
      tap: (message) => this.tap(message),
    });
    this.#cuts.add(cut);
    const accepting = this.originator.accept(far).finally(() => {
      this.#cuts.delete(cut);
      this.#accepting.delete(accepting);
    });
    this.#accepting.add(accepting);
    return near;
  }

  cut(): void {
    for (const cut of this.#cuts) cut();
  }

  /** Stops the originator and starts another on the same disk. */
  async restartOriginator(): Promise<void> {
    await this.originator[Symbol.asyncDispose]();
    this.originator = this.#newOriginator();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.assignee[Symbol.asyncDispose]();
    await this.originator[Symbol.asyncDispose]();
    await Promise.all(this.#accepting);
  }

  #newOriginator(): ArtifactStreams {
    const link = {
      open: () => Promise.reject(new CodedError("unimplemented", "nobody streams to an assignee")),
    };
    const deps = { tasks: this.originatorTasks, spool: this.spool, clock: this.clock, logger: silentLogger };
    return new ArtifactStreams({ ...deps, link }, this.#options);
  }
}

export const never = new AbortController().signal;

/** The start of the artifact that tests stream. */
export function startOf(artifactId = "one", taskId = "task"): StreamStart {
  return {
    kind: "start",
    taskId,
    artifactId,
    artifactName: `${artifactId}.txt`,
    mediaType: "text/plain",
    totalChunks: 0,
    totalBytes: 0,
    metadata: {},
  };
}

/** A whole artifact of these chunks. */
export function eventsOf(
  chunks: readonly string[],
  { artifactId = "one", taskId = "task" }: { artifactId?: string; taskId?: string } = {},
): StreamEvent[] {
  return [
    startOf(artifactId, taskId),
    ...chunksOf(chunks, { artifactId, taskId }),
    endOf("complete", { artifactId, taskId }),
  ];
}

export function chunksOf(
  chunks: readonly string[],
  { artifactId = "one", taskId = "task", from = 0 }: { artifactId?: string; taskId?: string; from?: number } =
    {},
): StreamEvent[] {
  return chunks.map((text, at) => ({
    kind: "chunk",
    taskId,
    artifactId,
    sequence: from + at,
    data: new TextEncoder().encode(text),
    isLast: false,
  }));
}

export function endOf(
  reason: "complete" | "canceled" | "error",
  { artifactId = "one", taskId = "task", sha256 = new Uint8Array(), errorMessage = "" } = {},
): StreamEvent {
  return { kind: "end", taskId, artifactId, reason, sha256, totalBytes: 0, errorMessage };
}

export async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** Events that a test hands in one by one. */
export class Feed implements AsyncIterable<StreamEvent> {
  readonly #pipe = new Pipe<StreamEvent>(Infinity);
  taken = 0;

  push(...events: readonly StreamEvent[]): void {
    for (const event of events) void this.#pipe.push(event);
  }

  end(): void {
    this.#pipe.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamEvent> {
    return {
      next: async () => {
        const next = await this.#pipe.pull();
        this.taken++;
        return next;
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }
}

/** What a subscriber sees, in short: `start one`, `0 text`, `end complete`. */
export function brief(event: StreamEvent): string {
  switch (event.kind) {
    case "start":
      return `start ${event.artifactId}`;
    case "chunk":
      return `${event.sequence} ${new TextDecoder().decode(event.data)}`;
    case "end":
      return `end ${event.reason}`;
  }
}

/** Reads events in short until `count` have come, or all. */
export async function read(events: AsyncIterator<StreamEvent>, count = Infinity): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const next = await events.next();
    if (next.done) break;
    seen.push(brief(next.value));
  }
  return seen;
}

/** Lets everything that can go on go on. */
export async function settle(rounds = 20): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setTimeout(resolve, 0));
}
