import type { ErrorCode } from "../core/errors.ts";

/** The process did what it was asked. */
export const EXIT_OK = 0;
/** The task failed or was refused, or something went wrong that has no code of its own. */
export const EXIT_FAILURE = 1;
/** Unusable arguments or configuration. */
export const EXIT_USAGE = 2;
/** No daemon is running, or the peer cannot be reached. */
export const EXIT_UNAVAILABLE = 3;
/** Another process has the home, or has changed the task meanwhile. */
const EXIT_CONFLICT = 11;
/** The agent asks something before it goes on. */
export const EXIT_INPUT_REQUIRED = 12;
/** Ended by Ctrl+C or by a request to stop. */
export const EXIT_INTERRUPTED = 130;

/** The exit code of each error code. */
export const EXIT_CODE_OF: Readonly<Record<ErrorCode, number>> = {
  unknown: EXIT_FAILURE,
  internal: EXIT_FAILURE,
  invalid_argument: EXIT_USAGE,
  out_of_range: EXIT_USAGE,
  unavailable: EXIT_UNAVAILABLE,
  deadline_exceeded: 4,
  not_found: 5,
  permission_denied: 6,
  unauthenticated: 6,
  failed_precondition: 7,
  already_exists: 7,
  aborted: EXIT_CONFLICT,
  resource_exhausted: 8,
  unimplemented: 9,
  data_loss: 10,
  cancelled: EXIT_INTERRUPTED,
};

const MEANINGS: Readonly<Record<number, string>> = {
  [EXIT_OK]: "done",
  [EXIT_FAILURE]: "the task failed, was refused or was canceled; or an error without a code of its own",
  [EXIT_USAGE]: "unusable arguments or configuration",
  [EXIT_UNAVAILABLE]: "no daemon is running, or the peer cannot be reached",
  4: "not finished in time",
  5: "not found",
  6: "not permitted",
  7: "the present state does not allow it (such as: the task has ended)",
  8: "a limit is reached",
  9: "not available in this version",
  10: "stored data is damaged",
  [EXIT_CONFLICT]: "another process uses the home, or has changed the task meanwhile",
  [EXIT_INPUT_REQUIRED]: "the agent asks something: answer it with `task reply`",
  [EXIT_INTERRUPTED]: "interrupted",
};

/** What each exit code means, a line each. */
export function describeExitCodes(): string {
  const lines = Object.entries(MEANINGS).map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`);
  return ["Exit codes:", ...lines].join("\n");
}
