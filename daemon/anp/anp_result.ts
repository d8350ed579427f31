import { Buffer } from "node:buffer";
import type { Artifact, Part, Task } from "../../a2a/mod.ts";
import type { JsonObject, JsonValue } from "../../core/json.ts";

/** A task as a call is answered: the shape of the existing network, and everything that it has no place for. */
export function toResult(task: Task): JsonObject {
  const { taskId, contextId, status, artifacts } = task;
  const data = artifacts.flatMap(({ parts }) => parts).find(({ content }) => content.kind === "data")
    ?.content;
  return {
    task_id: taskId,
    context_id: contextId,
    status: `TASK_STATUS_${status.toUpperCase()}`,
    text: textOf(task),
    ...(data?.kind === "data" && { data: data.data as JsonObject }),
    ...(artifacts.length > 0 && { artifacts: artifacts.map(toArtifact) }),
  };
}

/** The text of the results, else what the agent said last. */
export function textOf({ artifacts, messages, errorMessage }: Task): string {
  const result = artifacts.flatMap(({ parts }) => textsOf(parts)).join("\n");
  if (result !== "") return result;
  return textsOf(messages.findLast(({ role }) => role === "agent")?.parts ?? []).join("\n") || errorMessage;
}

function textsOf(parts: readonly Part[]): string[] {
  return parts.flatMap(({ content }) => content.kind === "text" ? [content.text] : []);
}

function toArtifact({ artifactId, name, parts }: Artifact): JsonObject {
  return { artifact_id: artifactId, name, parts: parts.map(toPart) };
}

function toPart({ content, mediaType }: Part): JsonObject {
  const type = mediaType === "" ? {} : { media_type: mediaType };
  switch (content.kind) {
    case "text":
      return { type: "text", text: content.text, ...type };
    case "data":
      return { type: "data", data: content.data as Record<string, JsonValue>, ...type };
    case "url":
      return { type: "url", url: content.url, filename: content.filename, ...type };
    case "raw":
      return {
        type: "file",
        bytes: Buffer.from(content.data).toString("base64"),
        filename: content.filename,
        ...type,
      };
    case "none":
      return { type: "text", text: "" };
    default:
      return content satisfies never;
  }
}
