import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { BodyBudget } from "./body_budget.ts";
import { parseHostPort } from "./host_port.ts";
import { toRequest } from "./server_request.ts";
import { writeResponse } from "./server_response.ts";

/** What is known of a request besides itself. */
export interface RequestInfo {
  /** Address of the other end of the connection, without its port: a proxy's when there is one. */
  readonly remoteAddress: string;
  /** The certificate of the caller, where one was asked for, given and found to be signed by `clientCa`. */
  readonly clientCertificate?: ClientCertificate;
}

/** A certificate that the TLS handshake has verified. */
export interface ClientCertificate {
  /** SHA-256 of the certificate in hex, lower case, without colons. */
  readonly fingerprint: string;
  /** `CN` of its subject; empty without one. */
  readonly commonName: string;
}

/** Answers a request. `request.signal` fires when the caller has gone. */
export type HttpHandler = (request: Request, info: RequestInfo) => Response | Promise<Response>;

export interface HttpServerDeps {
  fetch: HttpHandler;
  logger: Logger;
}

/** PEM texts of a server that is spoken to over TLS. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Certificates of callers are asked for, and must be signed by this one when they are given. */
  readonly clientCa?: string;
}

/** What a caller may cost. Times are in milliseconds. */
export interface HttpLimits {
  /** Connections at once; more are closed. Default 16,384. */
  readonly maxConnections: number;
  /** Bytes of a request's body; a longer one is answered with 413. Default 24 MiB. */
  readonly maxBodyBytes: number;
  /** Bytes of the bodies of all requests under way; what does not fit is answered with 503. Default 256 MiB. */
  readonly maxBodiesBytes: number;
  /** Bytes of a request's line and headers. Default 32 KiB. */
  readonly maxHeaderBytes: number;
  /** Until the headers of a request are there; also how long a connection may say nothing at first. Default 10 s. */
  readonly headersMs: number;
  /** Until a request is there whole. Default 60 s. */
  readonly requestMs: number;
  /** How long a connection may wait for its next request. Default 75 s. */
  readonly keepAliveMs: number;
  /** How long an answer may wait for its reader to make room. Default 30 s. */
  readonly stallMs: number;
}

export interface HttpServerOptions {
  /** `host:port`, `:port` (loopback) or `[v6]:port`; port 0 takes a free one. */
  listen: string;
  /** Without it, it is plain HTTP. */
  tls?: ServerTls;
  limits?: Partial<HttpLimits>;
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

const DEFAULT_LIMITS: HttpLimits = {
  maxConnections: 16_384,
  maxBodyBytes: 24 * 1024 * 1024,
  maxBodiesBytes: 256 * 1024 * 1024,
  maxHeaderBytes: 32 * 1024,
  headersMs: 10_000,
  requestMs: 60_000,
  keepAliveMs: 75_000,
  stallMs: 30_000,
};

/**
 * Starts an HTTP/1.1 server. What the handler throws is logged and answered with 500 and no detail.
 * @throws CodedError `invalid_argument` (malformed address, TLS files), `unavailable` (it cannot be bound).
 */
export async function startHttpServer(deps: HttpServerDeps, options: HttpServerOptions): Promise<HttpServer> {
  const { listen, tls, graceMs = 2_000 } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { hostname, port } = parseHostPort(listen);
  const running = new RunningRequests();
  const bodies = new BodyBudget(limits.maxBodiesBytes);
  const server = createServer(tls, limits);
  server.on("request", (request, response) => {
    void running.run(() => answer(deps, { request, response, limits, bodies, isSecure: tls !== undefined }));
  });
  server.on("dropRequest", (_request, socket) => socket.destroy());
  const { address, port: actual } = await listening(server, { listen, hostname, port });
  const shown = address.includes(":") ? `[${address}]` : address;
  return {
    ...{
      url: `${tls === undefined ? "http" : "https"}://${shown}:${actual}`,
      hostname: address,
      port: actual,
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await running.idle(graceMs);
      server.closeAllConnections();
      await closed;
    },
  };
}

function createServer(tls: ServerTls | undefined, limits: HttpLimits): http.Server {
  const settings = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: 1_000,
    noDelay: true,
  };
  let server: http.Server;
  try {
    server = tls === undefined ? http.createServer(settings) : https.createServer({
      ...settings,
      cert: tls.cert,
      key: tls.key,
      ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
    });
  } catch (cause) {
    throw new CodedError(
      "invalid_argument",
      `The TLS files cannot be used: ${
        errorMessage(cause)
      }; certificate and key must be PEM and belong together`,
      { cause },
    );
  }
  server.maxConnections = limits.maxConnections;
  return server;
}

async function listening(
  server: http.Server,
  { listen, hostname, port }: { listen: string; hostname: string; port: number },
): Promise<AddressInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host: hostname, port, backlog: 1_024 }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new CodedError(
      "unavailable",
      `Cannot listen on ${listen}: ${errorMessage(cause)}; choose another address`,
      { cause },
    );
  }
  server.off("error", reject);
  return server.address() as AddressInfo;
}

interface Exchange {
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
  readonly limits: HttpLimits;
  readonly bodies: BodyBudget;
  readonly isSecure: boolean;
}

async function answer({ fetch, logger }: HttpServerDeps, exchange: Exchange): Promise<void> {
  const { request, response, limits, bodies, isSecure } = exchange;
  using share = bodies.open();
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new CodedError("cancelled", "The caller has gone"));
  });
  // A caller that goes is told by "close"; the error itself says no more.
  response.on("error", () => {});
  request.on("error", () => {});
  try {
    const asked = toRequest(request, {
      isSecure,
      maxBodyBytes: limits.maxBodyBytes,
      share,
      signal: gone.signal,
    });
    if (asked === undefined) return refuse(response, 400);
    if (asked === "too_large") return refuse(response, 413);
    const answered = await fetch(asked, infoOf(request));
    share[Symbol.dispose](); // the answer may go on for hours
    await writeResponse(response, answered, { stallMs: limits.stallMs, isHead: request.method === "HEAD" });
  } catch (error) {
    if (gone.signal.aborted) return;
    if (error instanceof CodedError && !response.headersSent) {
      if (error.code === "resource_exhausted") return refuse(response, 413);
      if (error.code === "unavailable") return refuse(response, 503);
    }
    logger.error("A request could not be answered", { error });
    if (response.headersSent) response.destroy();
    else refuse(response, 500);
  }
}

/** Ends the connection too: what is left of the request is not read. */
function refuse(response: http.ServerResponse, status: number): void {
  const text = `${http.STATUS_CODES[status]}\n`;
  const headers = { "content-type": "text/plain; charset=utf-8", "content-length": text.length };
  response.writeHead(status, { ...headers, connection: "close" }).end(text);
}

function infoOf({ socket }: http.IncomingMessage): RequestInfo {
  const remoteAddress = socket.remoteAddress ?? "";
  const secure = socket as TLSSocket;
  if (secure.encrypted !== true || !secure.authorized) return { remoteAddress };
  const certificate = secure.getPeerCertificate();
  if (!certificate?.fingerprint256) return { remoteAddress };
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  const commonName = [certificate.subject?.CN ?? ""].flat()[0] ?? "";
  return { remoteAddress, clientCertificate: { fingerprint, commonName } };
}

/** Counts the requests that have not been answered yet. */
class RunningRequests {
  #count = 0;
  #onIdle: () => void = () => {};

  async run(handle: () => Promise<void>): Promise<void> {
    this.#count++;
    try {
      await handle();
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
