import type { Tool } from "@modelcontextprotocol/client";
import { CodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import type { IncomingTask } from "../../sdk/mod.ts";

/** Which tool a task wants, with which arguments. */
export interface ToolRequest {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

/**
 * What a task wants of the server: the tool is the skill it was sent to, else the one it names in `tool`, else the only one
 * there is; the arguments are its data, else its text as JSON, else its text as the only parameter.
 * @throws CodedError `invalid_argument` that says what is wanted.
 */
export function toToolRequest(
  task: Pick<IncomingTask, "messages" | "targetSkillId">,
  tools: readonly Tool[],
): ToolRequest {
  const parts = task.messages.flatMap((message) => message.role === "user" ? message.parts : []);
  const text = parts.flatMap((part) => part.text ?? []).join("\n").trim();
  const given = parts.find(({ data }) => data !== undefined)?.data ?? parseObject(text);
  const wanted = task.targetSkillId || (typeof given?.tool === "string" ? given.tool : undefined);
  const tool = wanted === undefined && tools.length === 1
    ? tools[0]
    : tools.find(({ name }) => name === wanted);
  if (tool === undefined) {
    const names = tools.slice(0, 50).map(({ name }) => name).join(", ");
    throw new CodedError(
      "invalid_argument",
      `${wanted ?? "No skill"} is not offered here: send to one of ${names}`,
    );
  }
  return { name: tool.name, arguments: toArguments(tool, { given, text, isNamed: !task.targetSkillId }) };
}

function toArguments(
  tool: Tool,
  { given, text, isNamed }: { given: JsonObject | undefined; text: string; isNamed: boolean },
): Record<string, unknown> {
  if (given !== undefined && isNamed && typeof given.tool === "string") {
    const { tool: _tool, arguments: inner, ...rest } = given;
    return { ...(isJsonObject(inner) ? inner : rest) };
  }
  if (given !== undefined) return { ...given };
  if (text === "") return {};
  const parameter = onlyTextParameter(tool);
  if (parameter !== undefined) return { [parameter]: text };
  throw new CodedError(
    "invalid_argument",
    `The skill ${tool.name} takes its arguments as a JSON object: ${
      JSON.stringify(tool.inputSchema).slice(0, 2_000)
    }`,
  );
}

/** The parameter that a plain text stands for: the only required one, or the only one at all. */
function onlyTextParameter({ inputSchema }: Tool): string | undefined {
  const names = Object.keys(inputSchema.properties ?? {});
  const required = inputSchema.required ?? [];
  const name = required.length === 1 ? required[0] : names.length === 1 ? names[0] : undefined;
  const schema = name === undefined
    ? undefined
    : inputSchema.properties?.[name] as { type?: unknown } | undefined;
  return schema?.type === "string" ? name : undefined;
}

function parseObject(text: string): JsonObject | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined; // a text that begins like JSON
  }
}
