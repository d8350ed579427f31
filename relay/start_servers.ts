import { CodedError } from "../core/errors.ts";
import type { RelayConfig } from "../core/settings/relay.ts";
import { type HttpHandler, type HttpServer, type Prometheus, startHttpServer } from "../http/mod.ts";
import { createMcpEndpoint } from "../mcp/mod.ts";
import { createApi } from "./http/api.ts";
import { createHealth } from "./http/health.ts";
import { createRelayMcpService } from "./mcp/relay_service.ts";
import type { RelayParts } from "./relay.ts";
import type { RELAY_METRICS } from "./relay_metrics.ts";
import type { RelayTls } from "./tls_files.ts";

/** The HTTP servers of a relay, in the order in which they are told. */
export const SERVER_NAMES = ["mcp", "metrics", "api"] as const;
/** One of {@link SERVER_NAMES}. */
export type ServerName = (typeof SERVER_NAMES)[number];

/** The running HTTP servers. Disposing them stops them. */
export interface RelayServers extends AsyncDisposable {
  /** By name; one that is off is not there. `moved` is one that had to take another port. */
  readonly urls: Readonly<Partial<Record<ServerName, { readonly url: string; readonly moved: boolean }>>>;
}

/** How they are started. */
export interface StartServersOptions {
  readonly config: RelayConfig;
  /** Whose address nobody asked for. */
  readonly mayMove: ReadonlySet<string>;
  readonly tls: RelayTls | undefined;
}

/** Bodies and headers that these servers need. */
const LIMITS = { maxBodyBytes: 1024 * 1024, maxConnections: 1_024 };

/** Starts MCP, health and API where the configuration wants them. Throws as `startHttpServer`. */
export async function startServers(
  parts: RelayParts & { readonly prometheus: Prometheus<typeof RELAY_METRICS> },
  { config, mayMove, tls }: StartServersOptions,
): Promise<RelayServers> {
  const { logger } = parts;
  await using stack = new AsyncDisposableStack();
  const mcp = stack.use(createMcpEndpoint({ service: createRelayMcpService(parts), logger }, {
    allowedOrigins: config.apiCorsOrigins.flatMap((origin) => URL.parse(origin)?.hostname ?? []),
  }));
  const handlers: Record<ServerName, { fetch: HttpHandler; listen: string }> = {
    mcp: { fetch: (request) => mcp.fetch(request), listen: config.mcpListen },
    metrics: {
      fetch: createHealth({ ...parts, checkStore: () => parts.store.check() }),
      listen: config.metricsListen,
    },
    api: { fetch: createApi(parts, { corsOrigins: config.apiCorsOrigins }), listen: config.apiListen },
  };
  const urls: Partial<Record<ServerName, { url: string; moved: boolean }>> = {};
  for (const name of SERVER_NAMES) {
    const { fetch, listen } = handlers[name];
    if (listen === "") continue;
    const start = (at: string) =>
      startHttpServer({ fetch, logger: logger.child({ server: name }) }, {
        ...{ listen: at, limits: LIMITS },
        ...tls && { tls },
      });
    const { server, moved } = await startOrMove(start, listen, mayMove.has(name));
    if (moved) {
      logger.warn("A port is in use: another one was taken", {
        server: name,
        wanted: listen,
        url: server.url,
      });
    }
    stack.use(server);
    urls[name] = { url: server.url, moved };
  }
  const owned = stack.move();
  return { urls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A server that nobody has asked for at this place is not worth failing for. */
async function startOrMove(
  start: (listen: string) => Promise<HttpServer>,
  listen: string,
  mayMove: boolean,
): Promise<{ server: HttpServer; moved: boolean }> {
  try {
    return { server: await start(listen), moved: false };
  } catch (error) {
    if (!mayMove || !(error instanceof CodedError) || error.code !== "unavailable") throw error;
    return { server: await start(listen.replace(/:\d+$/, ":0")), moved: true };
  }
}
