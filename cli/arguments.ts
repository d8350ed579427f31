import { InvalidArgumentError } from "commander";
import { parseDuration } from "../core/setting.ts";
import { errorMessage } from "../core/errors.ts";

/** Longest wait that can be asked for, in seconds: a week. */
const MAX_SECONDS = 7 * 24 * 60 * 60;

/** Seconds, such as `30` or `0.5`, as milliseconds. */
export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= MAX_SECONDS) return Math.ceil(seconds * 1000);
  throw new InvalidArgumentError(`Seconds are a number above 0, at most ${MAX_SECONDS}.`);
}

/** A time such as `30s`, `90m` or `24h`, as milliseconds; more than none. */
export function parseTime(text: string): number {
  try {
    const timeMs = parseDuration(text);
    if (timeMs > 0) return timeMs;
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
  throw new InvalidArgumentError("It is more than no time, such as 30s.");
}

/** A whole number from 0 to `max`. */
export function parseCount(max: number): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : NaN;
    if (count <= max) return count;
    throw new InvalidArgumentError(`It is a whole number, at most ${max}.`);
  };
}

/** Adds a label to those given before: `key=value`, or `key` for one without a value. */
export function collectTag(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return collectPair(text.includes("=") ? text : `${text}=`, before);
}

/** Adds a `key=value` to those given before. */
export function collectPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, key, value] = /^([^=]+)=([\s\S]*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("It has the form key=value.");
  return { ...before, [key]: value };
}

/** Adds a text to those given before. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
