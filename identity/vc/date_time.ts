import type { JsonValue } from "../../core/json.ts";

/** A `dateTimeStamp` of XML Schema, as credentials have it: with seconds and a time zone. */
const DATE_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/;

/** Milliseconds since the Unix epoch of a date in a credential; undefined for anything else. */
export function parseDateTime(value: JsonValue | undefined): number | undefined {
  if (typeof value !== "string" || !DATE_TIME.test(value)) return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

/** The date of a moment as credentials have it, in whole seconds: `2026-01-31T12:00:00Z`. */
export function toDateTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
