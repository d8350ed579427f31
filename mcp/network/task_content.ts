import type { ContentBlock } from "@modelcontextprotocol/server";
import type { Part, Task } from "../../sdk/mod.ts";
import { quoteUntrusted, safeLine } from "./safe_text.ts";
import { artifactIdOf, type TaskView } from "./task_view.ts";
import { artifactUri } from "./uris.ts";

/** Most bytes of files given along with an answer; larger ones are linked. */
const MAX_INLINE_BYTES = 1024 * 1024;
const MAX_FILES = 50;

/** What people and models read of a task: a summary, the agent's words marked as such, then files. */
export function toTaskContent(task: Task, view: TaskView, note = ""): ContentBlock[] {
  return [{ type: "text", text: toTaskText(view, note) }, ...toFileContent(task)];
}

function toTaskText(view: TaskView, note: string): string {
  const { task_id, status, target, artifacts } = view;
  const lines = [`Task ${task_id} is ${status.replace("_", " ")} (${target}).`];
  if (view.cancel_requested) lines.push("Its cancellation is requested; the agent has not confirmed it.");
  if (note !== "") lines.push(note);
  const quote = (text: string | undefined, source: string) => {
    if (text !== undefined) lines.push(quoteUntrusted(text, { source }));
  };
  quote(view.error, "Reason");
  quote(view.question, "Question of the agent");
  quote(view.response_text, "Answer of the agent");
  const data = artifacts.flatMap(({ parts }) => parts.flatMap((part) => part.data ?? []));
  if (data.length > 0) quote(data.map((one) => JSON.stringify(one)).join("\n"), "Data of the agent");
  return lines.join("\n");
}

function toFileContent({ taskId, artifacts }: Task): ContentBlock[] {
  let leftBytes = MAX_INLINE_BYTES;
  const blocks: ContentBlock[] = [];
  artifacts.forEach((artifact, i) => {
    const uri = artifactUri(taskId, artifactIdOf(artifact, i));
    for (const part of artifact.parts) {
      const size = part.raw?.length ?? 0;
      if (blocks.length >= MAX_FILES) return;
      const block = toFileBlock(part, { uri, name: artifact.name ?? "", isInline: size <= leftBytes });
      if (block === undefined) continue;
      if (block.type !== "resource_link") leftBytes -= size;
      blocks.push(block);
    }
  });
  return blocks;
}

function toFileBlock(
  part: Part,
  { uri, name, isInline }: { uri: string; name: string; isInline: boolean },
): ContentBlock | undefined {
  const mimeType = safeLine(part.mediaType ?? "") || "application/octet-stream";
  const title = safeLine(part.filename ?? "") || safeLine(name) || "file";
  if (part.url !== undefined) {
    return URL.canParse(part.url) && /^https?:/i.test(part.url)
      ? { type: "resource_link", uri: part.url, name: title, mimeType }
      : undefined;
  }
  if (part.raw === undefined) return undefined;
  if (!isInline) return { type: "resource_link", uri, name: title, mimeType, size: part.raw.length };
  const data = part.raw.toBase64();
  if (mimeType.startsWith("image/")) return { type: "image", data, mimeType };
  if (mimeType.startsWith("audio/")) return { type: "audio", data, mimeType };
  return { type: "resource", resource: { uri, mimeType, blob: data } };
}
