import type { JsonObject, JsonValue, Skill } from "../model.ts";
import type { CompatCard, CompatSkill } from "./card_v1.ts";
import {
  asObject,
  asText,
  defined,
  isObject,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  textsOrNothing,
  unreadable,
} from "./json.ts";

/** A tool of MCP, as `tools/list` has it. */
export interface McpTool {
  /** What it is called by. */
  readonly name: string;
  /** For people. */
  readonly title?: string;
  /** What it does. */
  readonly description?: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
  /** JSON Schema of its structured result. */
  readonly outputSchema?: JsonObject;
  /** Hints on what it does to the world. */
  readonly annotations?: JsonObject;
}

const TOOL_KEYS = ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta"];
/** What a skill says and a tool has no member for, in its `_meta`. */
const META = {
  tags: "agentanycast.tags",
  examples: "agentanycast.examples",
  inputModes: "agentanycast.inputModes",
  outputModes: "agentanycast.outputModes",
  /** Says that the skill itself says that it takes just any object. */
  takesAny: "agentanycast.takesAny",
} as const;
/** Tags of a skill by which the hints of its tool travel over the network. */
const HINT_TAGS: Readonly<Record<string, readonly [whenTrue: string, whenFalse: string]>> = {
  readOnlyHint: ["read-only", "read-write"],
  destructiveHint: ["destructive", "not-destructive"],
  idempotentHint: ["idempotent", "not-idempotent"],
  openWorldHint: ["open-world", "closed-world"],
};
/** A tool without arguments. */
const NO_ARGUMENTS: JsonObject = { type: "object" };

/**
 * The skill of a tool: its schemas as text, its hints as tags. What else the tool says is kept as `extra`. Throws
 * `AgentAnycastError` with `invalid_argument` for what is no tool.
 */
export function fromMcpTool(tool: unknown): CompatSkill {
  const json = asObject(tool, "the MCP tool");
  const name = asText(json.name, "name of the MCP tool");
  const annotations = isObject(json.annotations) ? json.annotations : {};
  const tags = toHintTags(annotations);
  const rest = nonEmpty(others(annotations, hintsIn(annotations)));
  const { [META.tags]: moreTags, ...meta } = isObject(json._meta) ? json._meta : {};
  const hasInput = meta[META.takesAny] === true ||
    JSON.stringify(json.inputSchema) !== JSON.stringify(NO_ARGUMENTS);
  return defined<CompatSkill>({
    id: name,
    name: stringOrNothing(json.title),
    description: stringOrNothing(json.description),
    tags: joinTags(tags, textsOrNothing(moreTags)),
    examples: textsOrNothing(meta[META.examples]),
    inputModes: textsOrNothing(meta[META.inputModes]),
    outputModes: textsOrNothing(meta[META.outputModes]),
    inputSchema: hasInput ? toSchemaText(json.inputSchema, `inputSchema of the MCP tool ${name}`) : undefined,
    outputSchema: toSchemaText(json.outputSchema, `outputSchema of the MCP tool ${name}`),
    extra: nonEmpty(present({
      ...others(json, TOOL_KEYS),
      annotations: rest,
      _meta: nonEmpty(others(meta, Object.values(META))),
    })),
  });
}

function toHintTags(annotations: JsonObject): string[] {
  return Object.entries(HINT_TAGS).flatMap(([hint, [whenTrue, whenFalse]]) => {
    const value = annotations[hint];
    return typeof value === "boolean" ? [value ? whenTrue : whenFalse] : [];
  });
}

/** Tags beside those of the hints, unless they have some of these in them: then they are all. */
function joinTags(
  hints: readonly string[],
  more: readonly string[] | undefined,
): readonly string[] | undefined {
  if (more === undefined) return hints.length > 0 ? hints : undefined;
  return more.some((tag) => hints.includes(tag)) ? more : [...hints, ...more];
}

function hintsIn(annotations: JsonObject): readonly string[] {
  return Object.keys(HINT_TAGS).filter((hint) => typeof annotations[hint] === "boolean");
}

function toSchemaText(schema: JsonValue | undefined, what: string): string | undefined {
  return schema === undefined ? undefined : JSON.stringify(asObject(schema, what));
}

/**
 * The tool of a skill. Tags that are no hints go to `_meta` as `agentanycast.tags`. Throws `AgentAnycastError` with
 * `invalid_argument` for a schema that is no JSON object.
 */
export function toMcpTool(skill: CompatSkill): McpTool & JsonObject {
  const { annotations: more, _meta, ...extra } = skill.extra ?? {};
  const [annotations, tags] = readTags(skill.tags);
  const { examples, inputModes, outputModes, inputSchema } = skill;
  const input = fromSchemaText(inputSchema, `input schema of ${skill.id}`);
  const own = present({
    [META.tags]: tags,
    [META.takesAny]: input !== undefined && JSON.stringify(input) === JSON.stringify(NO_ARGUMENTS) ||
      undefined,
    [META.examples]: examples,
    [META.inputModes]: inputModes,
    [META.outputModes]: outputModes,
  });
  return present({
    name: skill.id,
    title: skill.name,
    description: skill.description,
    inputSchema: input ?? NO_ARGUMENTS,
    outputSchema: fromSchemaText(skill.outputSchema, `output schema of ${skill.id}`),
    annotations: nonEmpty({ ...(isObject(more) && more), ...annotations }),
    _meta: nonEmpty({ ...(isObject(_meta) && _meta), ...own }),
    ...extra,
  }) as McpTool & JsonObject;
}

/** The hints among the tags, and what has to be told beside them for {@link joinTags} to give the tags again. */
function readTags(
  tags: readonly string[] | undefined,
): [annotations: JsonObject, others: readonly string[] | undefined] {
  if (tags === undefined) return [{}, undefined];
  const annotations: JsonObject = {};
  const rest: string[] = [];
  for (const tag of tags) {
    const hint = Object.entries(HINT_TAGS).find(([, words]) => words.includes(tag));
    if (hint === undefined) rest.push(tag);
    else annotations[hint[0]] = tag === hint[1][0];
  }
  const hints = toHintTags(annotations);
  if (hints.length > 0 && rest.length === 0 && isSame(tags, hints)) return [annotations, undefined];
  return [annotations, isSame(tags, [...hints, ...rest]) ? rest : tags];
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}

function fromSchemaText(text: string | undefined, what: string): JsonObject | undefined {
  if (text === undefined || text === "") return undefined;
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw unreadable(`the ${what}`, `it is not JSON (${String(cause)})`, "give a JSON Schema as JSON text");
  }
  return asObject(schema, `the ${what}`);
}

/** The card of a server of MCP: one skill per tool. */
export function mcpToolsToCard(
  serverName: string,
  tools: readonly unknown[],
  options: { readonly description?: string; readonly version?: string } = {},
): CompatCard {
  const skills: readonly Skill[] = tools.map(fromMcpTool);
  return { name: serverName, ...options, skills };
}
