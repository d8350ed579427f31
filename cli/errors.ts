import { CommanderError } from "commander";
import { CodedError, errorMessage, toCodedError } from "../core/errors.ts";
import { EXIT_CODE_OF, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE } from "./exit_codes.ts";
import { type Output, visibleLines } from "./output.ts";

/** How an error is told. */
export interface ReportOptions {
  /** `{"error": {"code", "message"}}` on stderr instead of a sentence. */
  json: boolean;
  /** Adds stack and causes. */
  verbose: boolean;
  /** The user has asked the program to end: what was cut off by that is no error. */
  interrupted: boolean;
}

/** Tells on stderr what went wrong; answers the exit code. */
export function reportError(error: unknown, output: Output, options: ReportOptions): number {
  if (error instanceof Deno.errors.BrokenPipe) return EXIT_OK; // the reader has had enough
  if (error instanceof CommanderError) return reportUsage(error, output, options);
  const { code } = toCodedError(error);
  if (options.interrupted && (code === "cancelled" || code === "unavailable")) return EXIT_INTERRUPTED;
  const message = messageOf(error);
  if (options.json) output.note(JSON.stringify({ error: { code, message } }));
  else {
    for (const [i, line] of visibleLines(message).entries()) {
      output.note(i === 0 ? `${output.noteStyle("red", "agentanycast:")} ${line}` : line);
    }
    if (options.verbose) output.note(describeCauses(error));
    else if (code === "internal" || code === "unknown") output.note("Run with -v for the stack.");
  }
  return error instanceof CodedError ? EXIT_CODE_OF[error.code] : EXIT_CODE_OF[code] ?? EXIT_FAILURE;
}

/** Help and version are no errors; misuse has been told by the parser, except as JSON. */
function reportUsage(error: CommanderError, output: Output, { json }: ReportOptions): number {
  if (error.exitCode === 0) return EXIT_OK;
  if (json) {
    const message = error.message.replace(/^error: /, "");
    output.note(JSON.stringify({ error: { code: "invalid_argument", message } }));
  }
  return EXIT_USAGE;
}

function messageOf(error: unknown): string {
  return error instanceof AggregateError && error.message === ""
    ? error.errors.map(errorMessage).join("; ")
    : errorMessage(error);
}

function describeCauses(error: unknown): string {
  const stacks: string[] = [];
  for (let at: unknown = error; at !== undefined && stacks.length < 10;) {
    stacks.push(at instanceof Error && at.stack !== undefined ? at.stack : String(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return visibleLines(stacks.join("\ncaused by: ")).join("\n");
}
