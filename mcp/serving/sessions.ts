import {
  isInitializeRequest,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { connectChanges } from "./connect_changes.ts";
import { jsonRpcError } from "./json_rpc_error.ts";
import { RecentEvents } from "./recent_events.ts";
import type { McpCaller, McpService } from "./service.ts";
import { Watches } from "./watches.ts";
import { whenAnswered } from "./when_answered.ts";

export interface SessionsDeps {
  readonly service: McpService;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface SessionLimits {
  /** Sessions open at once; for a further one the longest idle one goes. */
  readonly maxSessions: number;
  /** How long a session may be idle, in milliseconds. */
  readonly idleMs: number;
}

interface Session {
  readonly caller: string;
  readonly server: McpServer;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  lastUsedMs: number;
  /** Answers and event streams that are being sent. */
  streams: number;
}

/** A request of a known caller whose body has been read. */
export interface ParsedRequest {
  readonly request: Request;
  readonly body: unknown;
  readonly caller: McpCaller;
}

/** How long a client is told to wait when there is no room, in seconds. */
const RETRY_AFTER_S = 10;
/** How long a client is told to wait before it takes up a broken event stream again, in milliseconds. */
const RESUME_AFTER_MS = 1_000;

/** The sessions of clients that speak a revision before 2026-07-28, within bounds. */
export class Sessions implements AsyncDisposable {
  readonly #deps: SessionsDeps;
  readonly #limits: SessionLimits;
  readonly #sessions = new Map<string, Session>();
  #opening = 0;

  constructor(deps: SessionsDeps, limits: SessionLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** How many are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Answers a request: the first one of a client opens its session. */
  async fetch(parsed: ParsedRequest): Promise<Response> {
    await this.#closeIdle();
    const id = parsed.request.headers.get("mcp-session-id");
    if (id === null) return await this.#open(parsed);
    const session = this.#sessions.get(id);
    // Another caller's session is not even admitted to exist.
    if (session === undefined || session.caller !== parsed.caller.name) {
      return jsonRpcError(404, "Session not found: it has ended, initialize a new one", { code: -32001 });
    }
    return await this.#handle(session, parsed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((id) => this.#close(id)));
  }

  async #open(parsed: ParsedRequest): Promise<Response> {
    const { request, body } = parsed;
    if (request.method !== "POST" || !isInitializeRequest(body)) {
      return jsonRpcError(400, "There is no session: send initialize first, or speak revision 2026-07-28");
    }
    const isFull = this.#sessions.size + this.#opening >= this.#limits.maxSessions;
    if (isFull && !await this.#closeLongestIdle()) {
      return jsonRpcError(503, `All ${this.#limits.maxSessions} sessions are in use: try again later`, {
        headers: { "retry-after": String(RETRY_AFTER_S) },
      });
    }
    this.#opening++;
    try {
      return await this.#initialize(parsed);
    } finally {
      this.#opening--;
    }
  }

  async #initialize(parsed: ParsedRequest): Promise<Response> {
    const { caller } = parsed;
    const { service, logger } = this.#deps;
    const server = service.createServer(caller);
    connectChanges(server, service, { watches: new Watches(service, caller), isLegacy: true });
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void this.#sessions.set(id, session),
      onsessionclosed: (id) => void this.#sessions.delete(id),
      eventStore: new RecentEvents(),
      retryInterval: RESUME_AFTER_MS,
    });
    const session: Session = {
      caller: caller.name,
      server,
      transport,
      streams: 0,
      lastUsedMs: this.#deps.clock.now(),
    };
    transport.onerror = (error) => logger.debug("MCP session", { error });
    await server.connect(transport);
    const response = await this.#handle(session, parsed);
    if (transport.sessionId === undefined) await server.close(); // it was refused
    return response;
  }

  async #handle(session: Session, { request, body, caller }: ParsedRequest): Promise<Response> {
    const authInfo = { token: "", clientId: caller.name, scopes: [] };
    session.streams++;
    session.lastUsedMs = this.#deps.clock.now();
    const onEnd = () => {
      session.streams--;
      session.lastUsedMs = this.#deps.clock.now();
    };
    try {
      const response = await session.transport.handleRequest(request, { parsedBody: body, authInfo });
      return whenAnswered(response, onEnd);
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  async #closeIdle(): Promise<void> {
    const endsMs = this.#deps.clock.now() - this.#limits.idleMs;
    for (const [id, { streams, lastUsedMs }] of this.#sessions) {
      if (streams === 0 && lastUsedMs <= endsMs) await this.#close(id);
    }
  }

  /** Makes room; false when every session is in use. */
  async #closeLongestIdle(): Promise<boolean> {
    const idle = [...this.#sessions].filter(([, { streams }]) => streams === 0);
    const [longest] = idle.sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs);
    if (longest === undefined) return false;
    await this.#close(longest[0]);
    return true;
  }

  async #close(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.server.close();
  }
}
