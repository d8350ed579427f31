import { CodedError } from "../../core/errors.ts";
import type { StreamStart } from "./stream_event.ts";

const MAX_ID_CHARS = 256;
const MAX_TEXT_CHARS = 1024;
const MAX_METADATA_ENTRIES = 64;
const MAX_METADATA_CHARS = 16 * 1024;

/** Longest error text that is passed on. */
export const MAX_REASON_CHARS = 2000;

/** Whether `value` is a whole number from `min` to `max`. */
export function isIntegerWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

/** Throws `invalid_argument` for a start that no node would take. */
export function checkStart(start: StreamStart): void {
  checkText("task id", start.taskId, { min: 1, max: MAX_ID_CHARS });
  checkText("artifact id", start.artifactId, { min: 1, max: MAX_ID_CHARS });
  checkText("artifact name", start.artifactName, { min: 0, max: MAX_TEXT_CHARS });
  checkText("media type", start.mediaType, { min: 0, max: MAX_TEXT_CHARS });
  const entries = Object.entries(start.metadata);
  const chars = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (entries.length > MAX_METADATA_ENTRIES || chars > MAX_METADATA_CHARS) {
    throw invalid(
      `its metadata has ${entries.length} entries and ${chars} characters, at most ${MAX_METADATA_ENTRIES} and ${MAX_METADATA_CHARS} are taken`,
    );
  }
  if (!isIntegerWithin(start.totalChunks, 0, 2 ** 31 - 1)) {
    throw invalid(`total_chunks is ${start.totalChunks}`);
  }
  if (!isIntegerWithin(start.totalBytes, 0, Number.MAX_SAFE_INTEGER)) {
    throw invalid("total_bytes is out of range");
  }
}

/** Throws `resource_exhausted` for a chunk that is too long. */
export function checkChunkBytes(data: Uint8Array, maxChunkBytes: number): void {
  if (data.length <= maxChunkBytes) return;
  throw new CodedError(
    "resource_exhausted",
    `Cannot stream the artifact: a chunk has ${data.length} bytes, at most ${maxChunkBytes} are taken; send smaller chunks`,
  );
}

/** Throws `out_of_range` unless `sequence` is the one that is next. */
export function checkSequence(sequence: number, next: number): void {
  if (sequence === next) return;
  throw new CodedError(
    "out_of_range",
    `Cannot stream the artifact: a chunk has the sequence ${sequence}, ${next} comes next; chunks count 0, 1, 2 without gaps`,
  );
}

function checkText(what: string, value: string, { min, max }: { min: number; max: number }): void {
  if (value.length >= min && value.length <= max) return;
  throw invalid(`its ${what} has ${value.length} characters, ${min} to ${max} are taken`);
}

function invalid(what: string): CodedError {
  return new CodedError("invalid_argument", `Cannot stream the artifact: ${what}`);
}
