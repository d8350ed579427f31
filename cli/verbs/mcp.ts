import { join } from "node:path";
import process from "node:process";
import type { Config } from "../../core/config.ts";
import { createNetworkService, nodeAccess, serveMcpStdio } from "../../mcp/mod.ts";
import { openDaemonLog } from "../daemon_log.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { KeptNode } from "../kept_node.ts";
import { logUnhandledRejections } from "../unhandled_rejections.ts";
import type { VerbContext } from "../verb.ts";

/** How long the client has for its first questions before the network starts, in milliseconds: starting takes the processor. */
const HEAD_START_MS = 250;

/** Serves MCP to the client that started this process, until it is gone. */
export async function run({ output, signal, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await using stack = new AsyncDisposableStack();
  const { logger } = stack.use(openDaemonLog(config, { note: (line) => output.note(line), quiet: true }));
  stack.use(logUnhandledRejections(logger));
  const kept = stack.use(new KeptNode(config, logger));
  const access = nodeAccess(() => kept.node());
  const service = stack.use(createNetworkService({
    accessFor: () => access,
    pinsPath: pinsPath(config),
    logger,
  }));
  const headStart = setTimeout(() => {
    kept.node().catch((error) => logger.error("The network cannot start", { error }));
  }, HEAD_START_MS);
  stack.defer(() => clearTimeout(headStart));
  await serveMcpStdio({
    service,
    streams: { input: process.stdin, output: process.stdout },
    logger: logger.child({ wire: "mcp" }),
  }, { signal });
  return EXIT_OK;
}

/** File of the agents whose skills are tools. */
function pinsPath({ home }: Config): string {
  return join(home, "mcp_pins.json");
}
