import {
  localhostAllowedHostnames,
  validateHostHeader,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { CallerTokens } from "./caller_tokens.ts";
import { jsonRpcError } from "./json_rpc_error.ts";
import { type McpEndpointDeps, RevisionRouter, type RevisionRouterOptions } from "./revision_router.ts";

/** Where clients find MCP; `/` answers too. */
export const MCP_PATH = "/mcp";

export interface McpEndpointOptions extends RevisionRouterOptions {
  /** Who may call. Default: everybody, as `local`. */
  readonly tokens?: CallerTokens;
  /** Host names under which the endpoint is called, beside those of the loopback. */
  readonly allowedHosts?: readonly string[];
  /** Host names of web pages that may call it, beside those of the loopback. */
  readonly allowedOrigins?: readonly string[];
}

/** MCP over Streamable HTTP. Disposing it ends all sessions and event streams. */
export interface McpEndpoint extends AsyncDisposable {
  /** Answers a request. */
  readonly fetch: (request: Request) => Promise<Response>;
}

const METHODS = ["GET", "POST", "DELETE", "OPTIONS"];
const REQUEST_HEADERS = [
  "authorization",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
];

/**
 * MCP over Streamable HTTP, in revisions 2025-11-25 (with sessions) and 2026-07-28 (without). Requests for foreign host names
 * and from foreign web pages are refused, so that no page can reach it through the browser of its user.
 */
export function createMcpEndpoint(deps: McpEndpointDeps, options: McpEndpointOptions = {}): McpEndpoint {
  const { tokens = CallerTokens.parse([]) } = options;
  const server = new RevisionRouter(deps, options);
  const app = new Hono();
  app.use(async (c, next) => refusal(c.req.raw, options) ?? await next());
  app.use(cors({
    origin: (origin) => origin,
    allowMethods: METHODS,
    allowHeaders: REQUEST_HEADERS,
    exposeHeaders: ["mcp-session-id", "mcp-protocol-version"],
  }));
  for (const path of [MCP_PATH, "/"]) {
    app.all(path, async (c) => {
      const caller = tokens.callerOf(c.req.raw);
      if (caller !== undefined) return await server.fetch(c.req.raw, caller);
      return jsonRpcError(401, "Name yourself with a bearer token that this node knows", {
        headers: { "www-authenticate": 'Bearer realm="agentanycast"' },
      });
    });
  }
  app.notFound(() => jsonRpcError(404, `Nothing is here: MCP is served at ${MCP_PATH}`));
  app.onError((error) => {
    deps.logger.error("Cannot answer an MCP request", { error });
    return jsonRpcError(500, "Internal error: see the log of the node", { code: -32603 });
  });
  return {
    fetch: async (request) => await app.fetch(request),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Why a request is not even looked at; undefined for a good one. */
function refusal(request: Request, options: McpEndpointOptions): Response | undefined {
  const loopback = localhostAllowedHostnames();
  const host = validateHostHeader(request.headers.get("host"), [
    ...loopback,
    ...options.allowedHosts ?? [],
  ]);
  if (!host.ok) return jsonRpcError(403, `${host.message}: name it in the setting mcp.allowed_hosts`);
  const origin = validateOriginHeader(request.headers.get("origin"), [
    ...loopback,
    ...options.allowedOrigins ?? [],
  ]);
  if (!origin.ok) return jsonRpcError(403, `${origin.message}: name it in the setting mcp.allowed_origins`);
  return undefined;
}
