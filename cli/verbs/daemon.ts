import type { Config } from "../../core/config.ts";
import type { Daemon } from "../../daemon/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { announce, type OwnDaemon, startOwnDaemon, untilStopped } from "../own_daemon.ts";
import type { Output } from "../output.ts";
import type { VerbContext } from "../verb.ts";

export interface DaemonOptions {
  readonly stopWithStdin?: boolean;
}

/** Runs the daemon until it is told to stop. */
export async function run(context: VerbContext<DaemonOptions>): Promise<number> {
  const { name, options, output, signal, stdin, loadConfig } = context;
  const config = loadConfig();
  if (config.mcp.stdio) return await (await import("./mcp.ts")).serveStdio(context);
  const quiet = name === "agentanycastd" && !output.isWatched;
  await using own = await startOwnDaemon(loadConfig, { output, quiet });
  announce(own.daemon, output);
  await using _proxy = config.mcp.proxy.length > 0 ? await startProxy(own, config, output) : undefined;
  const ends = [untilStopped(own.daemon, signal)];
  if (options.stopWithStdin) ends.push(untilLeft(own.daemon, stdin));
  await Promise.race(ends);
  own.log.logger.info("Stopping");
  return EXIT_OK;
}

/** Comes back when the program that started the daemon is gone, and so are those that have joined it. */
async function untilLeft(daemon: Daemon, stdin: VerbContext["stdin"]): Promise<void> {
  await stdin.readable.pipeTo(new WritableStream());
  await daemon.untilUnused();
}

/** The MCP server that the configuration makes this daemon's agent. */
async function startProxy(
  { daemon, log: { logger } }: OwnDaemon,
  config: Config,
  output: Output,
): Promise<AsyncDisposable> {
  const { startMcpProxy } = await import("../mcp_proxy.ts");
  return await startMcpProxy({ words: config.mcp.proxy, daemonAddr: daemon.grpcAddress, logger, output });
}
