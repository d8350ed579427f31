import { EXIT_OK } from "../exit_codes.ts";
import { startOwnDaemon, untilStopped } from "../own_daemon.ts";
import type { VerbContext } from "../verb.ts";

/** Runs the daemon until it is told to stop. */
export async function run({ name, output, signal, loadConfig }: VerbContext): Promise<number> {
  const quiet = name === "agentanycastd" && !output.isWatched;
  await using own = await startOwnDaemon(loadConfig(), { output, quiet });
  await untilStopped(own.daemon, signal);
  own.log.logger.info("Stopping");
  return EXIT_OK;
}
