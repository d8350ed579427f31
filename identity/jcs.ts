import canonicalize from "canonicalize";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { JsonValue } from "../core/json.ts";

/**
 * The one text of a JSON value that is signed: RFC 8785 (JCS). Members that are undefined are left out.
 * @throws CodedError `invalid_argument` for what JSON cannot hold: half of a surrogate pair, NaN, an endless number, a cycle.
 */
export function canonicalJson(value: JsonValue): string {
  try {
    const text = canonicalize(value);
    if (text !== undefined) return text;
  } catch (cause) {
    const reason = `Cannot write the value as canonical JSON: ${errorMessage(cause)}`;
    throw new CodedError("invalid_argument", reason, { cause });
  }
  throw new CodedError("invalid_argument", "Cannot write the value as canonical JSON: it is undefined");
}

/** {@link canonicalJson} as UTF-8. */
export function canonicalBytes(value: JsonValue): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(canonicalJson(value));
}
