import { CodedError } from "../core/errors.ts";
import type { JsonValue } from "../core/json.ts";

/** Arrays and objects inside of each other; more would end the stack. */
const MAX_DEPTH = 1_000;

/**
 * The one text of a JSON value that is signed: RFC 8785 (JCS). Members that are undefined are left out.
 * @throws CodedError `invalid_argument` for what JSON cannot hold: half of a surrogate pair, NaN, an endless number, a cycle, and for
 * what is nested more than 1,000 deep.
 */
export function canonicalJson(value: JsonValue): string {
  return textOf(value, []);
}

/** {@link canonicalJson} as UTF-8. */
export function canonicalBytes(value: JsonValue): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(canonicalJson(value));
}

/** `around` are the arrays and objects that hold the value. */
function textOf(value: JsonValue, around: readonly JsonValue[]): string {
  if (typeof value === "string" && value.isWellFormed()) return JSON.stringify(value);
  // RFC 8785 writes numbers as ECMAScript does.
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value !== "object") {
    const kind = typeof value === "string" ? "a string with half of a surrogate pair" : String(value);
    throw new CodedError("invalid_argument", `Cannot write the value as canonical JSON: it holds ${kind}`);
  }
  if (around.includes(value)) {
    throw new CodedError("invalid_argument", "Cannot write the value as canonical JSON: it holds itself");
  }
  if (around.length === MAX_DEPTH) {
    throw new CodedError(
      "invalid_argument",
      `Cannot write the value as canonical JSON: it is nested more than ${MAX_DEPTH} deep`,
    );
  }
  const inside = [...around, value];
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, inside)).join(",")}]`;
  const object = value as Record<string, JsonValue | undefined>;
  const members: string[] = [];
  for (const name of Object.keys(object).sort()) { // by UTF-16 units
    const item = object[name];
    if (item !== undefined) members.push(`${textOf(name, [])}:${textOf(item, inside)}`);
  }
  return `{${members.join(",")}}`;
}
