import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { parseHostPort } from "./host_port.ts";

/** Answers a request. */
export type HttpHandler = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;

export interface HttpServerDeps {
  fetch: HttpHandler;
  logger: Logger;
}

export interface HttpServerOptions {
  /** `host:port`, `:port` (loopback) or `[v6]:port`; port 0 takes a free one. */
  listen: string;
  /** PEM texts; without them it is plain HTTP. */
  tls?: { readonly cert: string; readonly key: string };
  /** How long requests may go on when the server is disposed, in milliseconds. Default 2,000. */
  graceMs?: number;
}

/** A listening server. Disposing it ends it: requests under way have a moment, then they are cut. */
export interface HttpServer extends AsyncDisposable {
  /** Where it answers, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly hostname: string;
  readonly port: number;
}

/**
 * Starts an HTTP/1.1 and HTTP/2 server. What the handler throws is logged and answered with 500 and no detail.
 * @throws CodedError `invalid_argument` (malformed address), `unavailable` (it cannot be bound).
 */
export function startHttpServer({ fetch, logger }: HttpServerDeps, options: HttpServerOptions): HttpServer {
  const { listen, tls, graceMs = 2_000 } = options;
  const { hostname, port } = parseHostPort(listen);
  const abort = new AbortController();
  const running = new RunningRequests();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      ...{ hostname, port, signal: abort.signal, ...tls },
      onListen: () => {},
      onError: (error) => {
        logger.error("A request could not be answered", { error });
        return new Response("Internal Server Error\n", { status: 500 });
      },
    }, (request, info) => running.run(() => fetch(request, info)));
  } catch (error) {
    throw new CodedError(
      "unavailable",
      `Cannot listen on ${listen}: ${errorMessage(error)}; choose another address`,
      { cause: error },
    );
  }
  const { addr } = server;
  const scheme = tls === undefined ? "http" : "https";
  const shown = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
  return {
    ...{ url: `${scheme}://${shown}:${addr.port}`, hostname: addr.hostname, port: addr.port },
    async [Symbol.asyncDispose]() {
      await running.idle(graceMs);
      abort.abort();
      await server.finished;
    },
  };
}

/** Counts the handlers that have not answered yet. */
class RunningRequests {
  #count = 0;
  #onIdle: () => void = () => {};

  async run<T>(handle: () => T | Promise<T>): Promise<T> {
    this.#count++;
    try {
      return await handle();
    } finally {
      if (--this.#count === 0) this.#onIdle();
    }
  }

  /** Waits until there is none, at most `patienceMs`. */
  async idle(patienceMs: number): Promise<void> {
    if (this.#count === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    const timer = setTimeout(resolve, patienceMs);
    await promise;
    clearTimeout(timer);
  }
}
