import { join } from "node:path";
import type { RelayConfig } from "../../core/settings/relay.ts";
import { VERSION } from "../../core/version.ts";
import { writeFileDurably } from "../../core/write_file.ts";
import type { Relay, ServerName } from "../../relay/mod.ts";
import { openDaemonLog } from "../../core/daemon_log.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { resolveRelayOptions } from "../relay_settings.ts";
import { logUnhandledRejections } from "../unhandled_rejections.ts";
import type { VerbContext } from "../verb.ts";

/** The setting of each server's address, as the origins call it. */
const LISTEN_SETTINGS: Readonly<Record<ServerName, string>> = {
  mcp: "mcp_listen",
  metrics: "metrics_listen",
  api: "api_listen",
};

/** Runs a relay until it is told to stop. */
export async function run({ options, output, signal }: VerbContext): Promise<number> {
  const { config, origins } = resolveRelayOptions(options);
  using log = openDaemonLog(config, { note: (line) => output.note(line) });
  using _rejections = logUnhandledRejections(log.logger);
  const { SERVER_NAMES, startRelay } = await import("../../relay/mod.ts");
  const mayMove = new Set(SERVER_NAMES.filter((name) => origins.get(LISTEN_SETTINGS[name]) === "default"));
  await using relay = await startRelay(config, { logger: log.logger, mayMove });
  await writeEndpoints(config, relay);
  announce(relay, config, output);
  log.logger.info("Relay started", { version: VERSION, peer: relay.peerId, home: config.home });
  await untilAborted(signal);
  log.logger.info("Stopping");
  return EXIT_OK;
}

/**
 * Tells on stdout how the relay is reached, in the lines that programs read. Some of them take the first address and some the
 * last: the best one is both.
 */
function announce(relay: Relay, config: RelayConfig, output: Output): void {
  const addresses = relay.addresses();
  const best = addresses.length > 1 ? addresses.slice(0, 1) : [];
  const { mcp, metrics, api } = relay.urls;
  const lines = [
    ...[...addresses, ...best].map((address) => `RELAY_ADDR=${address}`),
    `REGISTRY_ADDR=${shown(config.registryListen, relay.registryAddress)}`,
    ...mcp ? [`MCP_ADDR=${shown(config.mcpListen, mcp.url, mcp.moved)}`] : [],
    ...metrics ? [`METRICS_ADDR=${shown(config.metricsListen, metrics.url, metrics.moved)}`] : [],
    ...api ? [`API_ADDR=${shown(config.apiListen, api.url, api.moved)}`] : [],
  ];
  try {
    for (const line of lines) output.print(line);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // nobody reads them: the relay serves all the same
  }
}

/** An address as it was asked for, unless it is another one. */
function shown(asked: string, actual: string, moved = false): string {
  return moved || /:0$/.test(asked) ? actual.replace(/^\w+:\/\//, "") : asked;
}

/** Lets other calls on this home find the servers. */
async function writeEndpoints(config: RelayConfig, relay: Relay): Promise<void> {
  const { mcp, metrics, api } = relay.urls;
  const endpoints = {
    pid: Deno.pid,
    api: api?.url,
    metrics: metrics?.url,
    mcp: mcp?.url,
    registry: relay.registryAddress,
  };
  await writeFileDurably(join(config.home, "endpoints.json"), JSON.stringify(endpoints));
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
