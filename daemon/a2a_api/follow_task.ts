import {
  type ArtifactStreams,
  type Engine,
  isInterrupted,
  isTerminal,
  type StreamEvent,
  type Task,
  type TaskUpdate,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { merge } from "../../core/merge.ts";
import { ArtifactEvents } from "./artifact_events.ts";
import { type A2aEvent, toEvents } from "./task_events.ts";

export interface FollowTaskDeps {
  engine: Pick<Engine, "subscribe">;
  streams: Pick<ArtifactStreams, "subscribe">;
}

export interface FollowTaskOptions {
  /** Changes behind this generation are told. */
  readonly afterGeneration: number;
  /** Whether it is over when the task waits for its caller, too. */
  readonly untilInterrupted: boolean;
  readonly signal: AbortSignal;
}

/** What comes next of a task: a change of it or a piece of an artifact. */
type Next =
  | { readonly kind: "update"; readonly item: TaskUpdate }
  | { readonly kind: "piece"; readonly item: StreamEvent };

/**
 * What happens to a task until it ends: its changes, and its artifacts piece by piece, each from its beginning. Pieces are read from
 * the disk as this is read, and their sender waits for a slow reader. All that was streamed comes before the end of the task, and what
 * came that way is not told again with it.
 */
export async function* followTask(
  deps: FollowTaskDeps,
  task: Task,
  { afterGeneration, untilInterrupted, signal }: FollowTaskOptions,
): AsyncGenerator<A2aEvent> {
  const left = new AbortController();
  const stop = AbortSignal.any([signal, left.signal]);
  const updates = tagged("update", deps.engine.subscribe(task.taskId, { afterGeneration, signal: stop }));
  const pieces = tagged("piece", piecesOf(deps.streams, task.taskId, stop));
  const artifacts = new ArtifactEvents(task.contextId);
  let id = afterGeneration;
  let last: TaskUpdate | undefined;
  try {
    for await (const next of merge<Next>(updates, pieces)) {
      if (next.kind === "piece") {
        const response = artifacts.toResponse(next.item);
        if (response !== undefined) yield { id, response, isFinal: false };
        continue;
      }
      const change = next.item;
      if (isTerminal(change.status)) {
        last = change; // What was streamed is told first: the pieces end with their task.
        continue;
      }
      const isOver = untilInterrupted && isInterrupted(change.status);
      yield* eventsOf(task, change, { told: artifacts.whole, isOver });
      if (isOver) return;
      id = change.generation;
    }
    if (last !== undefined) yield* eventsOf(task, last, { told: artifacts.whole, isOver: true });
  } finally {
    left.abort(new CodedError("cancelled", "Nobody follows the task any more"));
    await Promise.allSettled([updates.return(undefined), pieces.return(undefined)]);
  }
}

async function* tagged<K extends string, T>(
  kind: K,
  items: AsyncIterable<T>,
): AsyncGenerator<{ readonly kind: K; readonly item: T }> {
  for await (const item of items) yield { kind, item };
}

function* eventsOf(
  task: Task,
  update: TaskUpdate,
  { told, isOver }: { told: ReadonlySet<string>; isOver: boolean },
): Generator<A2aEvent> {
  const events = toEvents(task, update, { told });
  for (const event of events) yield { ...event, isFinal: isOver && event === events.at(-1) };
}

/** The pieces of a task's artifacts; none for one reader too many, who gets them whole at the end. */
async function* piecesOf(
  streams: FollowTaskDeps["streams"],
  taskId: string,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  try {
    yield* streams.subscribe(taskId, { signal });
  } catch (error) {
    if (!(error instanceof CodedError && error.code === "resource_exhausted")) throw error;
  }
}
