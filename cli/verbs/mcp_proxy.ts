import { CodedError } from "../../core/errors.ts";
import { toServerAddress } from "../../mcp/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { KeptNode } from "../kept_node.ts";
import { proxyMcpServer } from "../mcp_proxy.ts";
import { openDaemonLog } from "../../core/daemon_log.ts";
import { logUnhandledRejections } from "../unhandled_rejections.ts";
import type { VerbContext } from "../verb.ts";

export interface McpProxyOptions {
  readonly header?: readonly string[];
}

/** Makes an MCP server an agent until it is told to stop. */
export async function run(
  { args, options, output, signal, loadConfig }: VerbContext<McpProxyOptions>,
): Promise<number> {
  const words = args.flatMap((arg) => arg ?? []);
  if (words.length === 0) {
    throw new CodedError("invalid_argument", "Name the MCP server behind --: a command, or a URL");
  }
  const address = toServerAddress(words, { headers: options.header ?? [] });
  const config = loadConfig();
  await using stack = new AsyncDisposableStack();
  const { logger } = stack.use(openDaemonLog(config, { note: (line) => output.note(line), quiet: true }));
  stack.use(logUnhandledRejections(logger));
  const kept = stack.use(new KeptNode(config, logger));
  const node = await kept.node();
  await proxyMcpServer({ address, node, logger, output }, { signal });
  return EXIT_OK;
}
