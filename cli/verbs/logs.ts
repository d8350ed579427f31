import { systemClock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import { daemonLogPath } from "../../core/daemon_log.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { followFile, readLastLines } from "../log_tail.ts";
import { visible } from "../output.ts";
import type { VerbContext } from "../verb.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly lines: number;
}

/** Prints the end of the daemon's log and, when asked, what is added to it; with `--json` an object per line. */
export async function run(
  { options, output, signal, loadConfig }: VerbContext<LogsOptions>,
): Promise<number> {
  const path = daemonLogPath(loadConfig().home);
  const tail = await readLastLines(path, options.lines);
  if (tail === undefined && !options.follow) {
    throw new CodedError(
      "not_found",
      `No log at ${path}: \`agentanycast daemon\` writes one, unless its log_output is stderr`,
    );
  }
  const print = (line: string) => output.print(output.json ? JSON.stringify({ line }) : visible(line));
  tail?.lines.forEach(print);
  if (!options.follow) return EXIT_OK;
  const position = { path, inode: tail?.inode ?? null, offsetBytes: tail?.endBytes ?? 0 };
  for await (const line of followFile(position, { clock: systemClock, signal })) print(line);
  return EXIT_OK;
}
