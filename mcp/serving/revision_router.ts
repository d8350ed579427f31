import {
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  type McpHttpHandler,
  readRequestBody,
} from "@modelcontextprotocol/server";
import { type Clock, systemClock } from "../../core/clock.ts";
import { parseBoundedJson } from "../../core/bounded_json.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { jsonRpcError } from "./json_rpc_error.ts";
import { LOCAL_CALLER, type McpCaller, type McpService } from "./service.ts";
import { type ParsedRequest, type SessionLimits, Sessions } from "./sessions.ts";
import { toListenRequest, Watches } from "./watches.ts";
import { whenAnswered } from "./when_answered.ts";

export interface McpEndpointDeps {
  readonly service: McpService;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface RevisionRouterOptions extends Partial<SessionLimits> {
  /** Longest request, in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number;
  /** Requests that are answered at once; more are refused. Default 512. */
  readonly maxRequests?: number;
}

/** Answers requests of known callers in the revision that each speaks: with sessions before 2026-07-28, without from then on. */
export class RevisionRouter implements AsyncDisposable {
  readonly #service: McpService;
  readonly #sessions: Sessions;
  readonly #stateless: McpHttpHandler;
  readonly #maxBodyBytes: number;
  readonly #maxRequests: number;
  #running = 0;

  constructor(deps: McpEndpointDeps, options: RevisionRouterOptions) {
    const { service, logger, clock = systemClock } = deps;
    const { maxSessions = 100, idleMs = 30 * 60_000 } = options;
    this.#service = service;
    this.#maxBodyBytes = options.maxBodyBytes ?? 16 * 1024 * 1024;
    this.#maxRequests = options.maxRequests ?? 512;
    this.#sessions = new Sessions({ service, logger, clock }, { maxSessions, idleMs });
    this.#stateless = createMcpHandler(
      ({ authInfo }) => service.createServer({ name: authInfo?.clientId ?? LOCAL_CALLER }),
      {
        legacy: "reject",
        bus: service.changes,
        onerror: (error) => logger.debug("MCP request", { error }),
      },
    );
  }

  async fetch(request: Request, caller: McpCaller): Promise<Response> {
    if (this.#running >= this.#maxRequests) {
      return jsonRpcError(503, `${this.#maxRequests} requests are being answered: try again later`, {
        headers: { "retry-after": "1" },
      });
    }
    this.#running++;
    try {
      const parsed = await this.#parse(request, caller);
      const response = parsed instanceof Response ? parsed : await this.#answer(parsed);
      return whenAnswered(response, () => void this.#running--);
    } catch (error) {
      this.#running--;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stateless.close();
    await this.#sessions[Symbol.asyncDispose]();
  }

  async #parse(request: Request, caller: McpCaller): Promise<ParsedRequest | Response> {
    if (request.method !== "POST") return { request, caller, body: undefined };
    if (!isJsonContentType(request.headers.get("content-type"))) {
      return jsonRpcError(415, "The body must be application/json");
    }
    const body = await readRequestBody(request, this.#maxBodyBytes);
    if (body.tooLarge) {
      return jsonRpcError(413, `The request is too large: ${this.#maxBodyBytes} bytes at most`);
    }
    try {
      return { request, caller, body: parseBoundedJson(body.text) };
    } catch (error) {
      return jsonRpcError(400, `The body cannot be read: ${errorMessage(error)}`, { code: -32700 });
    }
  }

  async #answer(parsed: ParsedRequest): Promise<Response> {
    const { request, body, caller } = parsed;
    if (await isLegacyRequest(request, body)) return await this.#sessions.fetch(parsed);
    using stack = new DisposableStack();
    const watches = this.#watchListened(parsed);
    if (watches !== undefined) stack.use(watches);
    const authInfo = { token: "", clientId: caller.name, scopes: [] };
    const response = await this.#stateless.fetch(request, { parsedBody: body, authInfo });
    const kept = stack.move();
    return watches === undefined ? response : whenAnswered(response, () => kept.dispose());
  }

  /** Watches what a `subscriptions/listen` request names, for as long as it is answered. */
  #watchListened({ body, caller }: ParsedRequest): Watches | undefined {
    if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
    const listen = toListenRequest(body as Parameters<typeof toListenRequest>[0]);
    if (listen === undefined) return undefined;
    const watches = new Watches(this.#service, caller);
    for (const uri of listen.uris) watches.add(uri);
    return watches;
  }
}
