import { join } from "node:path";
import type { Config } from "../../core/config.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import { type HttpServer, startHttpServer } from "../../http/mod.ts";
import { CallerTokens, createMcpEndpoint, createNetworkService, MCP_PATH } from "../../mcp/mod.ts";
import type { DaemonCore } from "../daemon_core.ts";
import { coreAccess, type CoreAccessDeps } from "./core_access.ts";

/** Bits of a file mode that give rights to the group and to others. */
const NOT_OWNER_BITS = 0o077;

/**
 * Serves MCP over HTTP as `config.mcp` says. An address that others can reach needs tokens.
 * @throws CodedError `invalid_argument`, `failed_precondition` (no tokens, loose file of tokens), `unavailable`.
 */
export async function startMcp(
  core: CoreAccessDeps & Pick<DaemonCore, "config" | "logger" | "metrics">,
): Promise<HttpServer> {
  const { config: { mcp, home } } = core;
  const logger = core.logger.child({ wire: "mcp" });
  const tokens = CallerTokens.parse(mcp.tokensFile === undefined ? [] : readTokens(mcp.tokensFile));
  await using stack = new AsyncDisposableStack();
  const service = stack.use(createNetworkService({
    accessFor: (caller) => coreAccess(core, caller),
    pinsPath: join(home, "mcp_pins.json"),
    logger,
    onCall: (tool, status) => core.metrics.meter.count("mcp_tool_calls_total", { tool, status }),
  }));
  const endpoint = stack.use(createMcpEndpoint({ service, logger }, {
    tokens,
    allowedHosts: mcp.allowedHosts,
    allowedOrigins: mcp.allowedOrigins,
    maxSessions: mcp.maxSessions,
    idleMs: mcp.sessionIdleMs,
  }));
  const tls = readTls(mcp);
  const server = await startHttpServer({ fetch: (request) => endpoint.fetch(request), logger }, {
    listen: mcp.listen,
    ...(tls !== undefined && { tls }),
  });
  stack.use(server);
  if (tokens.isEmpty && !/^(127\.|::1$|localhost$)/.test(server.hostname)) {
    throw new CodedError(
      "failed_precondition",
      `MCP cannot be served at ${mcp.listen} to everybody: set mcp.tokens_file, or listen on 127.0.0.1`,
    );
  }
  const url = `${server.url}${MCP_PATH}`;
  logger.info("MCP is served", { url, tokens: tokens.isEmpty ? "none needed" : "needed" });
  const owned = stack.move();
  // Event streams do not end by themselves: they are ended before the server waits for them.
  const dispose = async () => {
    await endpoint[Symbol.asyncDispose]();
    await owned.disposeAsync();
  };
  return { ...server, url, [Symbol.asyncDispose]: dispose };
}

function readTokens(path: string): string[] {
  const text = readFile(path, "tokens of MCP");
  const { mode } = Deno.statSync(path);
  if (Deno.build.os !== "windows" && mode !== null && (mode & NOT_OWNER_BITS) !== 0) {
    throw new CodedError(
      "failed_precondition",
      `Others can read the tokens in ${path}: run \`chmod 600 ${path}\``,
    );
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

function readTls({ tlsCert, tlsKey }: Config["mcp"]): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new CodedError("invalid_argument", "TLS for MCP needs both mcp.tls_cert and mcp.tls_key");
  }
  return { cert: readFile(tlsCert, "certificate of MCP"), key: readFile(tlsKey, "key of MCP") };
}

function readFile(path: string, what: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new CodedError("invalid_argument", `Cannot read the ${what}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
