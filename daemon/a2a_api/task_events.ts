import type { Task, TaskUpdate } from "../../a2a/mod.ts";
import type { JsonObject } from "../../core/json.ts";
import { toArtifactJson, toStatusJson } from "./task_json.ts";

/** An event of a stream: one StreamResponse of A2A 1.0 as JSON. */
export interface A2aEvent {
  /** The generation of the task that it brings about; several events may share one. */
  readonly id: number;
  readonly response: JsonObject;
  /** The last one of its stream. */
  readonly isFinal: boolean;
}

export interface ToEventsOptions {
  /** Ids of results that were told whole before. Default none. */
  readonly told?: ReadonlySet<string>;
}

/** The events that tell a change of a task: its results first, then the status. */
export function toEvents(
  task: Pick<Task, "taskId" | "contextId">,
  update: TaskUpdate,
  { told = new Set() }: ToEventsOptions = {},
): A2aEvent[] {
  const { taskId, contextId } = task;
  const { generation: id, artifacts } = update;
  const results = artifacts.flatMap((artifact, i): A2aEvent[] => {
    if (told.has(artifact.artifactId)) return [];
    const whole = { taskId, contextId, artifact: toArtifactJson(artifact, i), lastChunk: true };
    return [{ id, isFinal: false, response: { artifactUpdate: whole } }];
  });
  const status = toStatusJson({ ...task, errorMessage: update.errorMessage }, update);
  return [...results, { id, isFinal: false, response: { statusUpdate: { taskId, contextId, status } } }];
}
