import { AgentAnycastError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../model.ts";

/**
 * What a foreign form says beside what the types of this package have a place for, in the words of A2A 1.0. It goes back out
 * when the object is written again; it does not travel over the network.
 */
export interface Extra {
  /** Members by name. */
  readonly extra?: JsonObject;
}

/** Whether `value` is an object with members. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws `invalid_argument` unless `value` is an object. @param what names it in the message. */
export function asObject(value: unknown, what: string): JsonObject {
  if (isObject(value)) return value;
  throw unreadable(what, `it is ${describe(value)}`, "give the JSON object");
}

/** Throws `invalid_argument` unless `value` is a text with content. */
export function asText(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw unreadable(what, `it is ${describe(value)}`, "give a text that is not empty");
}

/** The items of a list that may be missing. Throws `invalid_argument` for what is no list. */
export function asList(value: unknown, what: string): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw unreadable(what, `it is ${describe(value)}`, "give a list");
}

/** `value` when it is a text with content. */
export function textOrNothing(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `value` when it is a text, also an empty one. */
export function stringOrNothing(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The texts of a list; nothing when it is no list of texts. */
export function textsOrNothing(value: unknown): readonly string[] | undefined {
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string");
  return isTexts ? value : undefined;
}

/** Without what is missing. */
export function present(members: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as JsonObject;
}

/** Without what is missing, as the type that has it optional. */
export function defined<T extends object>(members: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}

/** The members of `json` with other names than `keys`. */
export function others(json: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key)));
}

/** `json` when it has members. */
export function nonEmpty(json: JsonObject): JsonObject | undefined {
  return Object.keys(json).length === 0 ? undefined : json;
}

/** `json` with the names that a form has a use of its own for set apart by a mark; {@link unmarked} takes it off. */
export function marked(json: JsonObject, reserved: readonly string[]): JsonObject {
  const isReserved = (name: string) => reserved.includes(name.replace(/'+$/, ""));
  return renamed(json, (name) => isReserved(name) ? `${name}'` : name);
}

/** What was {@link marked} as it was. */
export function unmarked(json: JsonObject, reserved: readonly string[]): JsonObject {
  const isMarked = (name: string) => name.endsWith("'") && reserved.includes(name.replace(/'+$/, ""));
  return renamed(json, (name) => isMarked(name) ? name.slice(0, -1) : name);
}

function renamed(json: JsonObject, rename: (name: string) => string): JsonObject {
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [rename(name), value]));
}

/** That `what` could not be read. */
export function unreadable(what: string, state: string, advice: string): AgentAnycastError {
  return new AgentAnycastError("invalid_argument", `Cannot read ${what}: ${state}; ${advice}`);
}

function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : value === "" ? "empty" : `a ${typeof value}`;
}
