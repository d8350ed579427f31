import { parseBoundedJson } from "../core/bounded_json.ts";
import { isJsonObject } from "../core/json.ts";
import { textOf } from "./convert.ts";
import { AgentAnycastError } from "./errors.ts";
import type { JsonObject, Message } from "./model.ts";

/** Most of what is wrong with an input that its sender is told. */
const MAX_REASON_CHARS = 1_000;

/**
 * A schema of a library that speaks Standard Schema (standardschema.dev), such as zod, valibot or arktype; whichever it is, it
 * gives handlers their input as what the schema makes of it, defaults and transformations included.
 */
export interface StandardSchema<Output = unknown> {
  /** The one member that all of them have. */
  readonly "~standard": {
    /** Of Standard Schema. */
    readonly version: 1;
    /** The library. */
    readonly vendor: string;
    /** The value as the schema makes it, or what is wrong with it. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** For the compiler alone. */
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a Standard Schema says about a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong with a value. */
export interface StandardIssue {
  /** For people. */
  readonly message: string;
  /** Where it is. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What the input of a skill must be: a Standard Schema, a JSON Schema, or `card` for the `inputSchema` of the skill on the node's card. */
export type InputSchema<Input = unknown> = StandardSchema<Input> | JsonObject | "card";

/** The input as the schema makes it, or why it is refused. */
export type CheckedInput = { readonly value: unknown } | { readonly fault: string };

/** Checks inputs. */
export type InputCheck = (value: unknown) => CheckedInput | Promise<CheckedInput>;

/**
 * What a task is asked to do, as data: the first part with data of its first message, else its text; a text that is a JSON object
 * or array counts as data.
 */
export function inputOf([request]: readonly Message[]): unknown {
  if (request === undefined) return "";
  const part = request.parts.find(({ data }) => data !== undefined);
  if (part !== undefined) return part.data;
  const text = textOf([request]);
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return parseBoundedJson(text);
  } catch {
    return text; // it only looks like JSON: its schema decides
  }
}

/** @param cardSchema the `inputSchema` on the card, for the schema `card`. Throws `invalid_argument` for a schema that is none. */
export async function createInputCheck(schema: InputSchema, cardSchema: () => string): Promise<InputCheck> {
  if (isStandardSchema(schema)) return async (value) => toChecked(await schema["~standard"].validate(value));
  const rules = schema === "card" ? parseSchema(cardSchema()) : schema;
  const { compileJsonSchema } = await import("./json_schema.ts"); // the library is loaded by those alone who use it
  const faultOf = compileJsonSchema(rules);
  return (value) => {
    const fault = faultOf(value);
    return fault === undefined ? { value } : { fault: shorten(fault) };
  };
}

function isStandardSchema(schema: InputSchema): schema is StandardSchema {
  return typeof schema !== "string" && "~standard" in schema;
}

function parseSchema(text: string): JsonObject {
  try {
    const schema: unknown = JSON.parse(text);
    if (isJsonObject(schema)) return schema as JsonObject;
  } catch {
    // Said below: no JSON is as little a schema as any other JSON.
  }
  throw new AgentAnycastError(
    "invalid_argument",
    `Cannot check inputs: inputSchema on the card is no JSON Schema object but ${shorten(text)}`,
  );
}

function toChecked(result: StandardResult<unknown>): CheckedInput {
  if (result.issues === undefined) return { value: result.value };
  return {
    fault: shorten(
      result.issues.map(({ message, path = [] }) =>
        [path.map((step) => `/${String(typeof step === "object" ? step.key : step)}`).join(""), message]
          .filter((text) => text !== "").join(" ")
      ).join("; "),
    ),
  };
}

function shorten(text: string): string {
  return text.length <= MAX_REASON_CHARS ? text : `${text.slice(0, MAX_REASON_CHARS)}…`;
}
