import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/client";
import type { Artifact, JsonObject, Part } from "../../sdk/mod.ts";
import { isJsonObject } from "../../core/json.ts";

/** What a tool answered as a result of a task: a part for each piece of content, and its structured answer as data. */
export function toArtifact(tool: string, { content, structuredContent }: CallToolResult): Artifact {
  const parts = content.flatMap(toParts);
  if (structuredContent !== undefined) {
    const data = isJsonObject(structuredContent) ? structuredContent : { result: structuredContent };
    parts.push({ data: data as JsonObject, mediaType: "application/json" });
  }
  return { name: tool, parts: parts.length > 0 ? parts : [{ text: "" }] };
}

/** Why a tool failed, in its own words. */
export function toFailure(tool: string, { content }: CallToolResult): string {
  const text = content.flatMap((block) => block.type === "text" ? block.text : []).join("\n").trim();
  return text.slice(0, 10_000) || `The tool ${tool} failed without a reason`;
}

function toParts(block: ContentBlock): Part[] {
  switch (block.type) {
    case "text":
      return [{ text: block.text }];
    case "image":
    case "audio":
      return [{ raw: Uint8Array.fromBase64(block.data), mediaType: block.mimeType }];
    case "resource_link":
      return [{
        url: block.uri,
        filename: block.name,
        ...(block.mimeType !== undefined && { mediaType: block.mimeType }),
      }];
    case "resource":
      return [toResourcePart(block.resource)];
    default:
      return block satisfies never;
  }
}

function toResourcePart(resource: (ContentBlock & { type: "resource" })["resource"]): Part {
  const { uri, mimeType } = resource;
  const facts = { metadata: { uri }, ...(mimeType !== undefined && { mediaType: mimeType }) };
  if ("text" in resource) return { ...facts, text: resource.text };
  return {
    ...facts,
    raw: Uint8Array.fromBase64(resource.blob),
    filename: uri.split("/").at(-1) || "resource",
  };
}
