import {
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  localhostAllowedHostnames,
  readRequestBody,
  validateHostHeader,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { type Clock, systemClock } from "../../core/clock.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { CallerTokens } from "./caller_tokens.ts";
import { jsonRpcError } from "./json_rpc_error.ts";
import type { McpCaller, McpService } from "./service.ts";
import { type ParsedRequest, type SessionLimits, Sessions } from "./sessions.ts";
import { toListenRequest, Watches } from "./watches.ts";
import { whenAnswered } from "./when_answered.ts";

/** Where clients find MCP; `/` answers too. */
export const MCP_PATH = "/mcp";

export interface McpEndpointDeps {
  readonly service: McpService;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface McpEndpointOptions extends Partial<SessionLimits> {
  /** Who may call. Default: everybody, as `local`. */
  readonly tokens?: CallerTokens;
  /** Host names under which the endpoint is called, beside those of the loopback. */
  readonly allowedHosts?: readonly string[];
  /** Host names of web pages that may call it, beside those of the loopback. */
  readonly allowedOrigins?: readonly string[];
  /** Longest request, in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number;
  /** Requests that are answered at once; more are refused. Default 512. */
  readonly maxRequests?: number;
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
  const { service, logger, clock = systemClock } = deps;
  const { tokens = CallerTokens.parse([]), maxBodyBytes = 16 * 1024 * 1024, maxRequests = 512 } = options;
  const { maxSessions = 100, idleMs = 30 * 60_000 } = options;
  const sessions = new Sessions({ service, logger, clock }, { maxSessions, idleMs });
  const handler = createMcpHandler(
    ({ authInfo }) => service.createServer({ name: authInfo?.clientId ?? "local" }),
    {
      legacy: "reject",
      bus: service.changes,
      onerror: (error) => logger.debug("MCP request", { error }),
    },
  );
  const answer = async (parsed: ParsedRequest): Promise<Response> => {
    const { request, body, caller } = parsed;
    if (await isLegacyRequest(request, body)) return await sessions.fetch(parsed);
    const watches = watchListened(parsed, service);
    const authInfo = { token: "", clientId: caller.name, scopes: [] };
    const response = await handler.fetch(request, { parsedBody: body, authInfo });
    return watches === undefined ? response : whenAnswered(response, () => watches[Symbol.dispose]());
  };
  let running = 0;
  const app = new Hono();
  app.use(async (c, next) => refusal(c.req.raw, options) ?? await next());
  app.use(cors({
    origin: (origin) => origin,
    allowMethods: METHODS,
    allowHeaders: REQUEST_HEADERS,
    exposeHeaders: ["mcp-session-id", "mcp-protocol-version"],
  }));
  const serve = async (request: Request): Promise<Response> => {
    const caller = tokens.callerOf(request);
    if (caller === undefined) {
      return jsonRpcError(401, "Name yourself with a bearer token that this node knows", {
        headers: { "www-authenticate": 'Bearer realm="agentanycast"' },
      });
    }
    if (running >= maxRequests) {
      return jsonRpcError(503, `${maxRequests} requests are being answered: try again later`, {
        headers: { "retry-after": "1" },
      });
    }
    running++;
    try {
      const parsed = await parseRequest(request, caller, maxBodyBytes);
      const response = parsed instanceof Response ? parsed : await answer(parsed);
      return whenAnswered(response, () => void running--);
    } catch (error) {
      running--;
      throw error;
    }
  };
  for (const path of [MCP_PATH, "/"]) app.all(path, (c) => serve(c.req.raw));
  app.notFound(() => jsonRpcError(404, `Nothing is here: MCP is served at ${MCP_PATH}`));
  app.onError((error) => {
    logger.error("Cannot answer an MCP request", { error });
    return jsonRpcError(500, "Internal error: see the log of the node", { code: -32603 });
  });
  return {
    fetch: async (request) => await app.fetch(request),
    [Symbol.asyncDispose]: async () => {
      await handler.close();
      await sessions[Symbol.asyncDispose]();
    },
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

async function parseRequest(
  request: Request,
  caller: McpCaller,
  maxBodyBytes: number,
): Promise<ParsedRequest | Response> {
  if (request.method !== "POST") return { request, caller, body: undefined };
  if (!isJsonContentType(request.headers.get("content-type"))) {
    return jsonRpcError(415, "The body must be application/json");
  }
  const body = await readRequestBody(request, maxBodyBytes);
  if (body.tooLarge) return jsonRpcError(413, `The request is too large: ${maxBodyBytes} bytes at most`);
  try {
    return { request, caller, body: JSON.parse(body.text) };
  } catch (error) {
    return jsonRpcError(400, `The body is not JSON: ${errorMessage(error)}`, { code: -32700 });
  }
}

/** Watches what a `subscriptions/listen` request names, for as long as it is answered. */
function watchListened({ body, caller }: ParsedRequest, service: McpService): Watches | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  const listen = toListenRequest(body as Parameters<typeof toListenRequest>[0]);
  if (listen === undefined) return undefined;
  const watches = new Watches(service, caller);
  for (const uri of listen.uris) watches.add(uri);
  return watches;
}
