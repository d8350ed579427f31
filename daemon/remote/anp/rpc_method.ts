import type { Message } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";

/** A method of an OpenRPC document. */
export interface RpcMethod {
  readonly name: string;
  readonly params: readonly {
    readonly name: string;
    readonly required: boolean;
    readonly schema: JsonObject;
  }[];
  readonly byPosition: boolean;
}

/** Methods about tasks: they are no skills. */
const TASK_METHODS = ["get_task", "cancel_task"];
const MAX_METHODS = 1_000;

/** The methods of an OpenRPC document; what is none is left out. */
export function parseMethods(document: JsonObject): RpcMethod[] {
  const methods = Array.isArray(document.methods)
    ? document.methods.slice(0, MAX_METHODS).filter(isJsonObject)
    : [];
  return methods.flatMap(({ name, params, paramStructure }) => {
    if (typeof name !== "string" || name === "") return [];
    const list = Array.isArray(params) ? params.filter(isJsonObject) : [];
    return [{
      name,
      byPosition: paramStructure === "by-position",
      params: list.flatMap((param) =>
        typeof param.name === "string"
          ? [{
            name: param.name,
            required: param.required === true,
            schema: isJsonObject(param.schema) ? param.schema : {},
          }]
          : []
      ),
    }];
  });
}

/** The method that is the skill, or the only one there is. @throws CodedError `invalid_argument` that names those there are. */
export function chooseMethod(methods: readonly RpcMethod[], skillId: string): RpcMethod {
  const skills = methods.filter(({ name }) => !TASK_METHODS.includes(name));
  const found = skillId === ""
    ? (skills.length === 1 ? skills[0] : undefined)
    : skills.find(({ name }) => name === skillId);
  if (found !== undefined) return found;
  const names = skills.map(({ name }) => name).join(", ") || "none";
  throw new CodedError(
    "invalid_argument",
    skillId === ""
      ? `The agent can do several things: name one of its skills (${names})`
      : `The agent has no skill ${skillId}: it has ${names}`,
  );
}

/**
 * The parameters of a call: an object is taken apart when the method has parameters of its names, else it or the text is the
 * one that is asked for.
 */
export function toParams(method: RpcMethod, message: Message, { taskId }: { taskId: string }): JsonValue {
  const value = valueOf(message);
  const [main = { name: "input", schema: {} }] = [...method.params].sort((a, b) =>
    Number(b.required) - Number(a.required)
  );
  const isSpread = isJsonObject(value) && Object.keys(value).length > 0 &&
    Object.keys(value).every((name) => method.params.some((param) => param.name === name));
  const named: Record<string, JsonValue | undefined> = isSpread
    ? { ...value }
    : { [main.name]: fitted(value, main.schema) };
  if (taskId !== "" && method.params.some(({ name }) => name === "task_id")) named.task_id = taskId;
  if (!method.byPosition) return named;
  return method.params.map(({ name }) => named[name] ?? null);
}

/** What a message says, as one value: its data when it has some, else its text, read as JSON where it is an object. */
function valueOf({ parts }: Message): JsonValue {
  const data = parts.find(({ content }) => content.kind === "data")?.content;
  if (data?.kind === "data") return data.data as JsonObject;
  const files = parts.filter(({ content }) => content.kind === "raw" || content.kind === "url");
  if (files.length > 0) {
    throw new CodedError("invalid_argument", "An agent of ANP takes text and data only: send no files");
  }
  const text = parts.flatMap(({ content }) => content.kind === "text" ? content.text : []).join("\n");
  const read = text.trimStart().startsWith("{") ? parsed(text) : undefined;
  return isJsonObject(read) ? read : text;
}

/** Where a text is wanted, it is one. */
function fitted(value: JsonValue, { type }: JsonObject): JsonValue {
  return type === "string" && typeof value !== "string" ? JSON.stringify(value) : value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // It is text then.
  }
}
