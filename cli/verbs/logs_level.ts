import { CodedError } from "../../core/errors.ts";
import { LOG_LEVELS } from "../../core/log.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { requireDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Asks the daemon how much it logs, or changes it. */
export async function run({ args: [given], output, loadConfig }: VerbContext): Promise<number> {
  const wanted = LOG_LEVELS.find((level) => level === given);
  if (given !== undefined && wanted === undefined) {
    throw new CodedError("invalid_argument", `No log level "${given}": take one of ${LOG_LEVELS.join(", ")}`);
  }
  await using session = await requireDaemon(loadConfig());
  const level = await session.node.logLevel(wanted);
  output.result({ level }, () => [level]);
  return EXIT_OK;
}
