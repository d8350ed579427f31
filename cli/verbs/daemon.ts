import { EXIT_OK } from "../exit_codes.ts";
import { announce, startOwnDaemon, untilStopped } from "../own_daemon.ts";
import type { VerbContext } from "../verb.ts";

export interface DaemonOptions {
  readonly stopWithStdin?: boolean;
}

/** Runs the daemon until it is told to stop. */
export async function run(context: VerbContext<DaemonOptions>): Promise<number> {
  const { name, options, output, signal, stdin, loadConfig } = context;
  const quiet = name === "agentanycastd" && !output.isWatched;
  await using own = await startOwnDaemon(loadConfig(), { output, quiet });
  announce(own.daemon, output);
  const ends = [untilStopped(own.daemon, signal)];
  if (options.stopWithStdin) ends.push(stdin.readable.pipeTo(new WritableStream()));
  await Promise.race(ends);
  own.log.logger.info("Stopping");
  return EXIT_OK;
}
