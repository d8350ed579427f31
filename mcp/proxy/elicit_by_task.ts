import type { ElicitRequest, ElicitResult } from "@modelcontextprotocol/client";
import type { IncomingTask, Message } from "../../sdk/mod.ts";
import { isJsonObject } from "../../core/json.ts";

type Content = NonNullable<ElicitResult["content"]>;

/** Asks the sender of a task what an MCP server wants to know of its user. */
export async function elicitByTask(
  task: Pick<IncomingTask, "ask" | "signal">,
  params: ElicitRequest["params"],
): Promise<ElicitResult> {
  if (params.mode === "url" || !("requestedSchema" in params)) return { action: "decline" };
  const { properties } = params.requestedSchema;
  const names = Object.keys(properties);
  const form = names.map((name) => {
    const { type, description } = properties[name] as { type?: string; description?: string };
    return `- ${name} (${type ?? "any"})${description === undefined ? "" : `: ${description}`}`;
  });
  const how = names.length === 1 ? [] : ["Answer with a JSON object of:", ...form];
  const answer = await task.ask([params.message, ...how].join("\n"), { signal: task.signal });
  const content = toContent(answer, names);
  return content === undefined ? { action: "decline" } : { action: "accept", content };
}

function toContent({ parts }: Message, names: readonly string[]): Content | undefined {
  const data = parts.find((part) => part.data !== undefined)?.data;
  if (data !== undefined) return data as Content;
  const text = parts.flatMap((part) => part.text ?? []).join("\n").trim();
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value as Content;
  } catch {
    // not JSON: a plain answer
  }
  const [name] = names;
  return name !== undefined && names.length === 1 ? { [name]: text } : undefined;
}
