import type { Daemon } from "../daemon/mod.ts";
import type { Config } from "../core/config.ts";
import { VERSION } from "../core/version.ts";
import { type DaemonLog, openDaemonLog } from "../core/daemon_log.ts";
import { onHangup } from "./hangup.ts";
import type { Output } from "./output.ts";
import { logUnhandledRejections } from "./unhandled_rejections.ts";

/** A daemon in this process, with its log. Disposing it stops the daemon in order. */
export interface OwnDaemon extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly log: DaemonLog;
}

/** Starts the daemon that the configuration describes, and lets it read that again. Throws what `startDaemon` throws. */
export async function startOwnDaemon(
  loadConfig: () => Config,
  { output, quiet }: { output: Output; quiet: boolean },
): Promise<OwnDaemon> {
  const config = loadConfig();
  await using stack = new AsyncDisposableStack();
  const log = stack.use(openDaemonLog(config, { note: (line) => output.note(line), quiet }));
  stack.use(logUnhandledRejections(log.logger));
  const { startDaemon } = await import("../daemon/mod.ts");
  const daemon = stack.use(
    await startDaemon(config, { logger: log.logger, logLevel: log.control, loadConfig }),
  );
  // On a terminal the signal means that the terminal is gone.
  if (!output.isWatched) stack.use(onHangup(() => reload(daemon, log)));
  const { peerId, grpcAddress } = daemon;
  log.logger.info("Daemon started", { version: VERSION, peer: peerId, home: config.home, grpc: grpcAddress });
  const owned = stack.move();
  return { daemon, log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Reads the configuration again; one that cannot be used is told and left. */
function reload(daemon: Daemon, { logger }: DaemonLog): void {
  daemon.reload().catch((error) => {
    logger.error("The configuration was not read again; the daemon goes on as before", { error });
  });
}

/** Tells on stdout how the daemon is reached, in the lines that programs read. */
export function announce(daemon: Daemon, output: Output): void {
  try {
    output.print(`PEER_ID=${daemon.peerId}`);
    for (const address of daemon.addresses()) output.print(`LISTEN_ADDR=${address}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // nobody reads them: the daemon serves all the same
  }
}

/** Resolves when the user or a client wants the daemon to stop. */
export function untilStopped(daemon: Daemon, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return Promise.race([promise, daemon.stopRequested]);
}
