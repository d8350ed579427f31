import { CodedError, errorMessage } from "../../core/errors.ts";

const FULL_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE"]);

/** What the disk could not do, as an error for the sender: `resource_exhausted` or `unavailable`. It names no path of this node. */
export function toDiskError(cause: unknown): CodedError {
  if (cause instanceof CodedError) return cause;
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const full = FULL_CODES.has(code) || /no space left/i.test(errorMessage(cause));
  return full
    ? new CodedError("resource_exhausted", "Cannot keep the artifact: the disk of the receiver is full", {
      cause,
    })
    : new CodedError("unavailable", "Cannot keep the artifact: the disk of the receiver failed", { cause });
}
