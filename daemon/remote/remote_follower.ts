import { type Engine, type EnvelopeBody, isTerminal } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { NO_TRACE } from "../../core/tracer.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { RemoteTaskRecord, RemoteTasks } from "../store/remote_tasks.ts";
import type { CallOptions, RemoteAgent, RemoteEvent } from "./remote_agent.ts";
import type { RemoteAgents } from "./remote_agents.ts";
import { RemoteProgress } from "./remote_progress.ts";

export interface RemoteFollowerDeps {
  /** Asked for when it is needed: the engine is made with this way to the agents. */
  readonly engine: () => Pick<Engine, "receive" | "getTask">;
  readonly records: RemoteTasks;
  readonly agents: RemoteAgents;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface RemoteFollowerOptions {
  /** First and longest pause between two looks at a task of an agent without streams, in milliseconds. Default 500 and 30,000. */
  readonly pollMs?: number;
  readonly maxPollMs?: number;
  /** Most streams that are open to one agent, and in all; further tasks are looked at instead. Default 32 and 512. */
  readonly maxStreamsPerAgent?: number;
  readonly maxStreams?: number;
}

/** Pause before a report is tried again that the engine could not take, in milliseconds. */
const BUSY_MS = 500;

type RemoteTaskName = Pick<RemoteTaskRecord, "url" | "remoteTaskId">;

/** A stream of a task that is open, and what was taken from it so far. */
export interface BegunStream {
  readonly events: AsyncIterator<RemoteEvent>;
  readonly progress: RemoteProgress;
  /** Ends the stream. */
  readonly stop: AbortController;
}

/** A task that is being followed. */
interface Run {
  readonly taskId: string;
  readonly url: string;
  readonly remoteTaskId: string;
  readonly progress: RemoteProgress;
  readonly stop: AbortController;
  /** The agent does not stream this task. */
  unstreamed: boolean;
  pauseMs: number;
}

/**
 * Follows tasks at agents behind URLs to their end, by stream where there is one, else by looking again and again, and reports
 * to the engine what they say. Disposing it stops following; the records stay.
 */
export class RemoteFollower implements AsyncDisposable {
  readonly #deps: Required<RemoteFollowerDeps>;
  readonly #options: Required<RemoteFollowerOptions>;
  readonly #runs = new Map<string, Run>();
  readonly #running = new Set<Promise<void>>();
  readonly #streams = new Map<string, number>();
  #streamCount = 0;
  readonly #stop = new AbortController();

  constructor(deps: RemoteFollowerDeps, options: RemoteFollowerOptions = {}) {
    this.#deps = { clock: systemClock, ...deps };
    this.#options = { pollMs: 500, maxPollMs: 30_000, maxStreamsPerAgent: 32, maxStreams: 512, ...options };
  }

  /** Goes on with the tasks of an earlier run. */
  async resume(): Promise<void> {
    for await (const { taskId, record } of this.#deps.records.all()) {
      if (!await this.settle(taskId) && record.remoteTaskId !== "") this.follow(taskId, record);
    }
  }

  /** Follows a task from now on; `begun` is a stream of it that is open already. */
  follow(taskId: string, { url, remoteTaskId }: RemoteTaskName, begun?: BegunStream): void {
    this.unfollow(taskId);
    const run: Run = {
      taskId,
      url,
      remoteTaskId,
      progress: begun?.progress ?? new RemoteProgress(taskId),
      stop: begun?.stop ?? new AbortController(),
      unstreamed: false,
      pauseMs: this.#options.pollMs,
    };
    if (begun === undefined) run.progress.interrupted();
    this.#runs.set(taskId, run);
    const running = this.#run(run, begun?.events).catch((error) => {
      if (this.#signalOf(run).aborted) return;
      this.#deps.logger.error("A task at a URL is not followed any more", { task: taskId, error });
    }).finally(() => {
      this.#running.delete(running);
      if (this.#runs.get(taskId) === run) this.#runs.delete(taskId);
    });
    this.#running.add(running);
  }

  /** Whether the task is being followed. */
  isFollowed(taskId: string): boolean {
    return this.#runs.has(taskId);
  }

  /** Stops following a task. */
  unfollow(taskId: string): void {
    this.#runs.get(taskId)?.stop.abort(new CodedError("cancelled", "The task is not followed any more"));
  }

  /** Reports what an event says; the engine has it on disk when it resolves. */
  async report(url: string, bodies: readonly EnvelopeBody[], { signal }: CallOptions): Promise<void> {
    const { clock, logger } = this.#deps;
    const engine = this.#deps.engine();
    for (const body of bodies) {
      const envelope = { envelopeId: crypto.randomUUID(), timestampMs: clock.now(), trace: NO_TRACE, body };
      while (true) {
        signal.throwIfAborted();
        const answer = await engine.receive(url, envelope);
        if (answer.outcome === "taken") break;
        if (answer.outcome === "refused") {
          logger.debug("A report of an agent changes nothing", {
            url,
            task: body.taskId,
            reason: answer.reason,
          });
          break;
        }
        await clock.sleep(BUSY_MS, signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The daemon is stopping"));
    await Promise.all(this.#running);
  }

  #signalOf({ stop }: Run): AbortSignal {
    return AbortSignal.any([stop.signal, this.#stop.signal]);
  }

  async #run(run: Run, begun: AsyncIterator<RemoteEvent> | undefined): Promise<void> {
    const signal = this.#signalOf(run);
    let events = begun;
    while (true) {
      if (events !== undefined) {
        await this.#listen(run, events, signal);
        if (await this.#isDone(run, signal)) return;
        if (!run.progress.lacksResults) await this.#pause(run, signal);
      }
      const agent = await this.#look(run, signal);
      if (await this.#isDone(run, signal)) return;
      events = agent && this.#openStream(run, agent, signal);
      if (events === undefined) await this.#pause(run, signal);
    }
  }

  /** Each pause without news is longer than the one before. */
  async #pause(run: Run, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(run.pauseMs, signal);
    run.pauseMs = Math.min(run.pauseMs * 1.5, this.#options.maxPollMs);
  }

  /** Takes what a stream brings until it ends; why it broke does not matter, since its task is looked at then. */
  async #listen(run: Run, events: AsyncIterator<RemoteEvent>, signal: AbortSignal): Promise<void> {
    const { progress, url, taskId } = run;
    try {
      while (progress.state !== "over") {
        const { done, value } = await events.next();
        if (done) break;
        run.pauseMs = this.#options.pollMs;
        await this.report(url, progress.take(value), { signal });
      }
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toCodedError(error);
      run.unstreamed ||= ["unimplemented", "failed_precondition", "not_found", "invalid_argument"].includes(
        code,
      );
      this.#deps.logger.debug("The stream of a task at a URL broke", {
        url,
        task: taskId,
        code,
        error: message,
      });
    } finally {
      await events.return?.().catch(() => {}); // It is over for us, however it ends.
    }
    if (progress.state !== "over") progress.interrupted();
  }

  #openStream(run: Run, agent: RemoteAgent, signal: AbortSignal): AsyncIterator<RemoteEvent> | undefined {
    const { url, remoteTaskId } = run;
    if (agent.subscribe === undefined || run.unstreamed || run.progress.state !== "going") return undefined;
    if (!this.hasRoomForStream(url)) return undefined;
    return this.counted(url, agent.subscribe(remoteTaskId, { signal }));
  }

  /** Whether another stream may be opened to the agent. */
  hasRoomForStream(url: string): boolean {
    return (this.#streams.get(url) ?? 0) < this.#options.maxStreamsPerAgent &&
      this.#streamCount < this.#options.maxStreams;
  }

  /** The events of a stream, which counts as open until it ends; of an answer that is none it does not. */
  async *counted(
    url: string,
    events: AsyncIterable<RemoteEvent>,
    isStream = true,
  ): AsyncGenerator<RemoteEvent> {
    if (!isStream) return yield* events;
    this.#streamCount++;
    this.#streams.set(url, (this.#streams.get(url) ?? 0) + 1);
    try {
      yield* events;
    } finally {
      this.#streamCount--;
      const left = (this.#streams.get(url) ?? 1) - 1;
      if (left > 0) this.#streams.set(url, left);
      else this.#streams.delete(url);
    }
  }

  /** Asks how the task stands. Answers the agent when it could be asked. */
  async #look(run: Run, signal: AbortSignal): Promise<RemoteAgent | undefined> {
    const { agents, logger } = this.#deps;
    const { url, taskId, remoteTaskId, progress } = run;
    try {
      const agent = await agents.agentAt(url, { signal });
      const before = progress.state;
      const task = await agent.get(remoteTaskId, { signal });
      const bodies = progress.take({ kind: "task", task });
      if (bodies.length > 0 || before !== progress.state) run.pauseMs = this.#options.pollMs;
      await this.report(url, bodies, { signal });
      return agent;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toCodedError(error);
      logger.debug("A task at a URL could not be looked at", { url, task: taskId, code, error: message });
      if (progress.lacksResults && (code === "not_found" || code === "unimplemented")) {
        await this.report(url, progress.takeAsItIs(), { signal });
      } else if (code === "not_found") {
        await this.#fail(run, "The agent does not know the task any more", signal);
      } else if (code === "unimplemented") {
        await this.#fail(run, "The agent took the task, but offers no way to learn how it ends", signal);
      } else {
        agents.forget(url);
      }
      return undefined;
    }
  }

  async #fail({ url, taskId, progress }: Run, errorMessage: string, signal: AbortSignal): Promise<void> {
    progress.interrupted();
    await this.report(url, [{ type: "fail", taskId, errorMessage, message: undefined }], { signal });
  }

  /** Forgets a task that is over here; answers whether it is. */
  async settle(taskId: string): Promise<boolean> {
    const { engine, records } = this.#deps;
    const task = await engine().getTask(taskId).catch(() => undefined); // It is gone: there is nothing to follow.
    if (task !== undefined && !isTerminal(task.status)) return false;
    await records.remove(taskId);
    return true;
  }

  /** Whether nothing is left to follow: the task is over, or waits for this side. */
  async #isDone({ taskId, progress }: Run, signal: AbortSignal): Promise<boolean> {
    if (await this.settle(taskId)) return true;
    signal.throwIfAborted();
    return progress.state === "asks";
  }
}
