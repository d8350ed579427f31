import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Artifact, Task } from "../model.ts";
import { IncomingStreams } from "./incoming_streams.ts";
import { OutgoingStreams } from "./outgoing_streams.ts";
import type { StreamEvent } from "./stream_event.ts";
import { resolveStreamOptions, type StreamOptions } from "./stream_options.ts";
import type { ArtifactLink, ArtifactSpool, ReceiverChannel, TaskView } from "./stream_ports.ts";

/** What artifact streams work with. */
export interface ArtifactStreamsDeps {
  tasks: TaskView;
  link: ArtifactLink;
  spool: ArtifactSpool;
  clock: Clock;
  logger: Logger;
  /** From 0 to below 1. Default `Math.random`. */
  random?: () => number;
}

/**
 * Artifacts of tasks that travel piece by piece, both ways: from this node's agent to the senders of its tasks, and from peers to
 * the disk and the subscribers of this node. Whoever creates it disposes it.
 */
export class ArtifactStreams implements AsyncDisposable {
  readonly #outgoing: OutgoingStreams;
  readonly #incoming: IncomingStreams;

  constructor(deps: ArtifactStreamsDeps, options: Partial<StreamOptions> = {}) {
    const full = resolveStreamOptions(options);
    this.#outgoing = new OutgoingStreams({ random: Math.random, ...deps }, full);
    this.#incoming = new IncomingStreams(deps, full);
  }

  /**
   * Sends artifacts of received tasks, one after the other: a start, its chunks, its end. Takes no more events than the receiver
   * has room for; resolves when it has all on disk. A broken way is tried again until `signal` fires. Throws
   * `invalid_argument`, `not_found`, `already_exists`, `failed_precondition`, `out_of_range` (a sequence that is not next),
   * `resource_exhausted`, `data_loss`, `cancelled` (the task has ended; its state is in the message), or why the receiver refused.
   */
  send(events: AsyncIterable<StreamEvent>, options: { signal: AbortSignal }): Promise<void> {
    return this.#outgoing.send(events, options);
  }

  /** Takes an artifact that a peer sends; resolves when its channel is over. */
  accept(channel: ReceiverChannel): Promise<void> {
    return this.#incoming.accept(channel);
  }

  /**
   * All artifacts that were streamed for a sent task, or for one of a caller of this node, from their beginning, then what comes, until the task has ended. The senders
   * wait for a subscriber that does not read. An artifact that starts anew starts again here. Throws `not_found`,
   * `failed_precondition` for a task that a peer has sent, `resource_exhausted`.
   * @param options.artifactId this artifact alone, until it is whole; default all.
   */
  subscribe(
    taskId: string,
    options: { signal: AbortSignal; artifactId?: string },
  ): AsyncIterable<StreamEvent> {
    return this.#incoming.subscribe(taskId, options);
  }

  /** What was streamed for a received task that has not ended, as it goes into its end. */
  references(taskId: string): readonly Artifact[] {
    return this.#outgoing.references(taskId);
  }

  /** What was streamed whole for a task of a caller of this node, with its bytes. Throws `unavailable`. */
  collect(task: Task): Promise<readonly Artifact[]> {
    return this.#incoming.collect(task);
  }

  /**
   * The artifacts of a sent task with what was streamed in them: small ones as bytes, others as `file:` URLs, missing ones marked
   * `incomplete`. For a caller of this node all are bytes, as far as they fit in its task. Can be repeated. Throws `not_found`, `unavailable`.
   */
  resolve(taskId: string, artifacts: readonly Artifact[]): Promise<readonly Artifact[]> {
    return this.#incoming.resolve(taskId, artifacts);
  }

  /** Removes what is on disk and in memory for a task. */
  async deleteTask(taskId: string): Promise<void> {
    this.#outgoing.deleteTask(taskId);
    await this.#incoming.deleteTask(taskId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outgoing[Symbol.asyncDispose]();
    await this.#incoming[Symbol.asyncDispose]();
  }
}
