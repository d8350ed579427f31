import { join } from "node:path";
import process from "node:process";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import {
  createNetworkService,
  nodeAccess,
  runMcpProxy,
  serveMcpStdio,
  toServerAddress,
} from "../../mcp/mod.ts";
import { openDaemonLog } from "../../core/daemon_log.ts";
import { isAnswered } from "../endpoint.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { KeptNode } from "../kept_node.ts";
import { startOwnDaemon, untilStopped } from "../own_daemon.ts";
import { logUnhandledRejections } from "../unhandled_rejections.ts";
import type { VerbContext } from "../verb.ts";

export interface McpOptions {
  readonly transport?: "stdio" | "http";
}

/** How long the client has for its first questions before the network starts, in milliseconds: starting takes the processor. */
const HEAD_START_MS = 250;

/** Serves MCP, to the client that started this process or over HTTP. */
export async function run(context: VerbContext<McpOptions>): Promise<number> {
  return await (context.options.transport === "http" ? serveHttp(context) : serveStdio(context));
}

/** Serves the client on stdin and stdout until it is gone; nothing else is printed there. */
export async function serveStdio({ output, stdin, signal, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  if (stdin.isTerminal) {
    output.note("This speaks MCP on stdin and stdout: `agentanycast mcp install` lets an assistant start it");
  }
  await using stack = new AsyncDisposableStack();
  const { logger } = stack.use(openDaemonLog(config, { note: (line) => output.note(line), quiet: true }));
  stack.use(logUnhandledRejections(logger));
  const kept = stack.use(new KeptNode(config, logger));
  const access = nodeAccess(() => kept.node());
  const service = stack.use(createNetworkService({
    accessFor: () => access,
    pinsPath: join(config.home, "mcp_pins.json"),
    logger,
  }));
  const stop = new AbortController();
  let network: Promise<void> = Promise.resolve();
  const headStart = setTimeout(() => {
    network = startNetwork({ kept, proxy: config.mcp.proxy, logger }, { signal: stop.signal })
      .catch((error) => logger.error("The network cannot start", { error }));
  }, HEAD_START_MS);
  stack.defer(async () => {
    clearTimeout(headStart);
    stop.abort();
    await network;
  });
  await serveMcpStdio({
    service,
    streams: { input: process.stdin, output: process.stdout },
    logger: logger.child({ wire: "mcp" }),
  }, { signal });
  return EXIT_OK;
}

/** The node, and the MCP server that is to be its agent, if any. */
async function startNetwork(
  { kept, proxy, logger }: { kept: KeptNode; proxy: readonly string[]; logger: Logger },
  options: { signal: AbortSignal },
): Promise<void> {
  const node = await kept.node();
  if (proxy.length > 0) await runMcpProxy({ address: toServerAddress(proxy), node, logger }, options);
}

/** Runs a daemon that serves MCP over HTTP, until it is told to stop. */
async function serveHttp({ output, signal, loadConfig }: VerbContext<McpOptions>): Promise<number> {
  const config = loadConfig();
  if (await isAnswered(config.grpcListen)) {
    throw new CodedError(
      "already_exists",
      `A daemon runs on ${config.home} already: let it serve MCP itself, with \`enabled = true\` below [mcp] in ` +
        `${config.configPath}, or with --mcp-listen`,
    );
  }
  const mcp = Object.freeze({ ...config.mcp, enabled: true });
  await using own = await startOwnDaemon(() => Object.freeze({ ...loadConfig(), mcp }), {
    output,
    quiet: false,
  });
  output.print(`PEER_ID=${own.daemon.peerId}`);
  output.print(`MCP_URL=${own.daemon.mcpUrl ?? ""}`);
  await untilStopped(own.daemon, signal);
  return EXIT_OK;
}
