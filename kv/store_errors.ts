import { CodedError, type ErrorCode, errorMessage } from "../core/errors.ts";
import type { KvKey } from "./store.ts";

/** What the database says (it has no codes), what that means and what to do about it. */
const FAILURES: readonly (readonly [pattern: RegExp, code: ErrorCode, advice: string])[] = [
  [/disk is full/i, "unavailable", "Free some space on that disk"],
  [
    /malformed|not a database|deserialize/i,
    "data_loss",
    "Restore it from a backup, or move it away to start empty",
  ],
  [/read-?only|unable to open/i, "permission_denied", "Make it a file in a folder that this user can write"],
];

/** The coded form of what the database at `path` threw. */
export function toStoreError(error: unknown, path: string): CodedError {
  if (error instanceof CodedError) return error;
  const found = errorMessage(error);
  const [, code, advice] = FAILURES.find(([pattern]) => pattern.test(found)) ??
    [undefined, "unavailable" as const, "Check the disk and who else has the file open"];
  return new CodedError(code, `Cannot use the store ${path}: ${found}. ${advice}`, {
    cause: error,
    details: { path },
  });
}

/** Whether a record was found that is not encoded as the database encodes its records. */
export function isUndecodable(error: unknown): boolean {
  return error instanceof RangeError && /deserialize/i.test(error.message);
}

/** `data_loss`: for a key of the store at `path` whose value is not there as it was stored. */
export function damagedError(
  key: KvKey,
  path: string,
  options: { found: string; cause?: unknown },
): CodedError {
  return new CodedError(
    "data_loss",
    `Cannot read ${JSON.stringify(key)} from the store ${path}: ${options.found}. ` +
      "Store it again, or restore the store from a backup",
    { cause: options.cause, details: { path } },
  );
}

/** The coded form of what the file system threw for `path`; `action` completes "Cannot …". */
export function toFileError(error: unknown, action: string, path: string): CodedError {
  const denied = error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && "code" in error && error.code === "EROFS");
  return new CodedError(
    denied ? "permission_denied" : "unavailable",
    `Cannot ${action} ${path}: ${errorMessage(error)}. ` +
      (denied
        ? "Give this user write access to it, or choose another folder"
        : "Check the folder and its disk"),
    { cause: error, details: { path } },
  );
}

/** `unavailable`: for any use of a store after its disposal. */
export function closedError(path: string): CodedError {
  return new CodedError("unavailable", `Cannot use the store ${path}: it is closed. Open it again`);
}
