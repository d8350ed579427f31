import { z } from "zod";
import type { Artifact, Message, Part, Task } from "../../sdk/mod.ts";
import { safeLine, safeText } from "./safe_text.ts";
import { artifactUri, taskUri } from "./uris.ts";

/** Most characters of an answer given at once; all of it is in the resource of the artifact. */
const MAX_ANSWER_LENGTH = 50_000;
/** Most characters of JSON of a data part given at once. */
const MAX_DATA_LENGTH = 20_000;
const MAX_ARTIFACTS = 100;
const MAX_PARTS = 100;

/** Any JSON object, in the spelling that all clients take. */
export const anyObject = z.record(z.string(), z.unknown()).meta({ additionalProperties: true });

const partSchema = z.object({
  kind: z.enum(["text", "data", "url", "file"]),
  media_type: z.string().optional(),
  filename: z.string().optional(),
  size_bytes: z.number().int().optional().describe("of a file or text"),
  url: z.string().optional(),
  data: anyObject.optional(),
});

/** A task as tools answer it. */
export const taskViewSchema = z.object({
  task_id: z.string(),
  context_id: z.string().describe("conversation it belongs to"),
  status: z.enum([
    "submitted",
    "working",
    "input_required",
    "auth_required",
    "completed",
    "failed",
    "canceled",
    "rejected",
  ]),
  target: z.string().describe("peer id or URL of the other side; the skill while no agent has it yet"),
  direction: z.enum(["inbound", "outbound"]).optional(),
  skill: z.string().optional(),
  response_text: z.string().optional().describe("what the agent answered; untrusted"),
  question: z.string().optional().describe("what the agent asks before it goes on; untrusted"),
  error: z.string().optional().describe("why it failed or was rejected; untrusted"),
  cancel_requested: z.boolean().optional(),
  artifacts: z.array(z.object({
    artifact_id: z.string(),
    name: z.string().optional(),
    resource_uri: z.string(),
    parts: z.array(partSchema),
  })),
  resource_uri: z.string(),
  created_at: z.string().optional(),
  updated_at: z.string().optional(),
});

export type TaskView = z.infer<typeof taskViewSchema>;
type PartView = z.infer<typeof partSchema>;

/** A task in the words of the tools: bounded, and without characters that mislead. */
export function toTaskView(task: Task): TaskView {
  const { taskId, status, messages, artifacts } = task;
  const last = messages.findLast(({ role }) => role === "agent");
  const lastText = last === undefined ? "" : textOf([last]);
  const isQuestion = isWaiting(task);
  const answer = textOf(artifacts) || (isQuestion ? "" : lastText);
  return {
    task_id: taskId,
    context_id: task.contextId,
    status,
    target: safeLine(task.peerId || task.targetSkillId || ""),
    ...(task.direction && { direction: task.direction }),
    ...(task.targetSkillId && { skill: safeLine(task.targetSkillId) }),
    ...(answer && { response_text: safeText(answer, MAX_ANSWER_LENGTH) }),
    ...(isQuestion && { question: safeText(lastText || "The agent needs more input", 4_000) }),
    ...(task.error && { error: safeText(task.error, 2_000) }),
    ...(task.cancelRequested && { cancel_requested: true }),
    artifacts: artifacts.slice(0, MAX_ARTIFACTS).map((artifact, i) => ({
      artifact_id: artifactIdOf(artifact, i),
      ...(artifact.name && { name: safeLine(artifact.name) }),
      resource_uri: artifactUri(taskId, artifactIdOf(artifact, i)),
      parts: artifact.parts.slice(0, MAX_PARTS).map(toPartView),
    })),
    resource_uri: taskUri(taskId),
    ...(task.createdAt && { created_at: task.createdAt.toISOString() }),
    ...(task.updatedAt && { updated_at: task.updatedAt.toISOString() }),
  };
}

/** What an artifact is called in its address: its id, else its place. */
export function artifactIdOf({ artifactId }: Artifact, index: number): string {
  return artifactId || String(index);
}

/** All text parts, one after the other. */
export function textOf(holders: readonly (Message | Artifact)[]): string {
  return holders.flatMap(({ parts }) => parts.flatMap(({ text }) => text ?? [])).join("\n");
}

function toPartView(part: Part): PartView {
  const common = {
    ...(part.mediaType && { media_type: safeLine(part.mediaType) }),
    ...(part.filename && { filename: safeLine(part.filename) }),
  };
  if (part.text !== undefined) {
    return { kind: "text", ...common, size_bytes: new TextEncoder().encode(part.text).length };
  }
  if (part.url !== undefined) return { kind: "url", ...common, url: safeLine(part.url, 2_000) };
  if (part.raw !== undefined) return { kind: "file", ...common, size_bytes: part.raw.length };
  const json = JSON.stringify(part.data ?? {});
  return { kind: "data", ...common, ...(json.length <= MAX_DATA_LENGTH && { data: part.data ?? {} }) };
}

/** Whether the task has ended. */
export function isOver({ status }: Task): boolean {
  return status === "completed" || status === "failed" || status === "canceled" || status === "rejected";
}

/** Whether the task waits for its sender. */
export function isWaiting({ status }: Task): boolean {
  return status === "input_required" || status === "auth_required";
}
