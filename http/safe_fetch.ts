import http from "node:http";
import https from "node:https";
import { abortable } from "../core/abortable.ts";
import { CodedError } from "../core/errors.ts";
import { checkedAddresses, parseAllowList, resolveBySystem, type ResolveHost } from "./address_guard.ts";
import { ExchangeLimits } from "./exchange_limits.ts";
import { type Connections, sendPinned, type TlsFiles } from "./pinned_request.ts";
import { responseBody } from "./response_body.ts";

export interface SafeFetchOptions {
  /**
   * What may be reached although it is not at a public address: origins, host names, addresses and ranges, as
   * `parseAllowList()` reads them. Default: nothing.
   */
  allow?: readonly string[];
  /** The setting that holds `allow`, for errors. Default `the list of allowed origins`. */
  setting?: string;
  /** Whether `http:` is refused, except for what `allow` names by its origin. Default false. */
  httpsOnly?: boolean;
  /** Most redirects that are followed. Default 3. */
  maxRedirects?: number;
  /** Most bytes of an answer's body, decompressed; 0 is without limit. Default 16 MiB. */
  maxBytes?: number;
  /** Longest duration of an exchange with its redirects and body, in milliseconds; 0 is without limit. Default 60 s. */
  timeoutMs?: number;
  /** Longest wait for an answer to begin or to go on, in milliseconds; 0 is without limit. Default 60 s. */
  idleMs?: number;
  /** Most connections to one address at once. Default 64. */
  maxConnections?: number;
  /** Headers for each request to `origin`, such as credentials: asked again after each redirect. Default: none. */
  headersFor?: (origin: string) => Readonly<Record<string, string>>;
  /** Certificates by origin. Default: none. */
  tls?: Readonly<Record<string, TlsFiles>>;
  /** Default `resolveBySystem`. */
  resolve?: ResolveHost;
}

/** As of fetch; bounds given here go before those of {@link SafeFetchOptions}. */
export interface SafeFetchInit extends RequestInit {
  maxBytes?: number;
  timeoutMs?: number;
  idleMs?: number;
}

/**
 * `fetch()` for URLs that strangers may have chosen. A name is resolved once, each of its addresses must be public or
 * allowed, and the connection goes to one of these; redirects are checked the same way. Proxies of the environment are
 * not used. Fails with a CodedError: `invalid_argument` (not a URL it fetches), `permission_denied` (not public),
 * `unavailable` (with the detail `sent`: `no` or `maybe`), `deadline_exceeded`, `resource_exhausted` (too large),
 * `failed_precondition` (redirects). Disposing of it closes the connections that it keeps.
 */
export type SafeFetch =
  & ((input: string | URL | Request, init?: SafeFetchInit) => Promise<Response>)
  & {
    /** For a protocol of its own: the addresses that `url` may be reached at, and what is shown to it. Throws likewise. */
    readonly reach: (url: URL) => Promise<Reach>;
  }
  & Disposable;

/** How a URL may be reached. */
export interface Reach {
  /** Never empty. */
  readonly addresses: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsFiles | undefined;
}

/** Idle connections are closed before usual servers close them, so that a request does not meet a closing one. */
const KEEP_IDLE_MS = 1_000;

/** What still goes along when a redirect leads to another origin: anything else may be a credential. */
const HARMLESS_HEADERS: readonly string[] = [
  "accept",
  "accept-language",
  "a2a-version",
  "a2a-extensions",
  "content-type",
  "user-agent",
];

/** Headers of the connection: they are ours to set. */
const CONNECTION_HEADERS: readonly string[] = [
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * A {@link SafeFetch}.
 * @throws SyntaxError when an entry of `options.allow` cannot be read.
 */
export function createSafeFetch(options: SafeFetchOptions = {}): SafeFetch {
  const settings: Settings = {
    allow: parseAllowList(options.allow ?? []),
    setting: options.setting ?? "the list of allowed origins",
    httpsOnly: options.httpsOnly ?? false,
    maxRedirects: options.maxRedirects ?? 3,
    maxBytes: options.maxBytes ?? 16 * 1024 * 1024,
    timeoutMs: options.timeoutMs ?? 60_000,
    idleMs: options.idleMs ?? 60_000,
    headersFor: options.headersFor ?? (() => ({})),
    resolve: options.resolve ?? resolveBySystem,
  };
  const pool = openPool(options.tls ?? {}, options.maxConnections ?? 64);
  const safeFetch = async (input: string | URL | Request, init: SafeFetchInit = {}) => {
    const first = await firstHop(input, init);
    const limits = new ExchangeLimits(first.url.origin, {
      signal: init.signal ?? (input instanceof Request ? input.signal : undefined),
      timeoutMs: init.timeoutMs ?? settings.timeoutMs,
      idleMs: init.idleMs ?? settings.idleMs,
    });
    const exchange = { settings, limits, connections: pool, maxBytes: init.maxBytes ?? settings.maxBytes };
    try {
      return await follow(first, exchange);
    } catch (error) {
      limits[Symbol.dispose]();
      throw limits.signal.aborted ? limits.signal.reason : error;
    }
  };
  const reach = async (url: URL): Promise<Reach> => ({
    addresses: await checkedAddresses(url, settings),
    headers: settings.headersFor(url.origin),
    tls: options.tls?.[url.origin],
  });
  return Object.assign(safeFetch, { reach, [Symbol.dispose]: () => pool[Symbol.dispose]() });
}

interface Settings extends Required<Omit<SafeFetchOptions, "allow" | "tls" | "maxConnections">> {
  readonly allow: ReturnType<typeof parseAllowList>;
}

interface Exchange {
  readonly settings: Settings;
  readonly limits: ExchangeLimits;
  readonly connections: Connections;
  readonly maxBytes: number;
}

/** One request on the way through redirects. */
interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
  readonly redirect: RequestRedirect;
}

function openPool(tls: Readonly<Record<string, TlsFiles>>, maxSockets: number): Connections & Disposable {
  const options = { keepAlive: true, timeout: KEEP_IDLE_MS, maxSockets, maxFreeSockets: 8 };
  const [plain, usual] = [new http.Agent(options), new https.Agent(options)];
  const special = new Map(
    Object.entries(tls).map((
      [origin, files],
    ) => [new URL(origin).origin, new https.Agent({ ...options, ...files })]),
  );
  return {
    plain,
    secure: (origin) => special.get(origin) ?? usual,
    [Symbol.dispose]() {
      for (const agent of [plain, usual, ...special.values()]) agent.destroy();
    },
  };
}

async function firstHop(input: string | URL | Request, init: SafeFetchInit): Promise<Hop> {
  const url = fetchable(input instanceof Request ? input.url : String(input));
  const { signal: _, ...rest } = init; // ExchangeLimits listens to it.
  const request = new Request(input instanceof Request ? input : url, rest);
  const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
  const headers = new Headers(request.headers);
  for (const name of CONNECTION_HEADERS) headers.delete(name);
  return { url, method: request.method, headers, body, redirect: request.redirect };
}

/** @throws CodedError `invalid_argument` when `text` is not a URL that can be fetched. */
function fetchable(text: string): URL {
  const url = URL.parse(text);
  if (url === null) {
    throw new CodedError("invalid_argument", `"${text}" is not a URL such as https://agent.example`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new CodedError(
      "invalid_argument",
      `${url.protocol} URLs are not fetched: only https: and http: are`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new CodedError(
      "invalid_argument",
      `The URL of ${url.host} holds a password: give credentials elsewhere`,
    );
  }
  return url;
}

async function follow(first: Hop, exchange: Exchange): Promise<Response> {
  const { maxRedirects } = exchange.settings;
  let hop = first;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const response = await request(hop, exchange);
    const next = first.redirect === "manual" ? undefined : nextHop(hop, response);
    if (next === undefined) return toResponse(response, hop, { exchange, redirects });
    response.destroy();
    if (first.redirect === "error") {
      throw new CodedError(
        "failed_precondition",
        `${hop.url.origin} answered with a redirect, which is not followed`,
      );
    }
    hop = next;
  }
  throw new CodedError(
    "failed_precondition",
    `${first.url.origin} redirects more than ${maxRedirects} times`,
  );
}

async function request(hop: Hop, exchange: Exchange): Promise<http.IncomingMessage> {
  const { settings, limits, connections } = exchange;
  const { url } = hop;
  if (settings.httpsOnly && url.protocol !== "https:" && !settings.allow.origins.includes(url.origin)) {
    throw new CodedError("permission_denied", `${url.origin} is not fetched: only https: URLs are`);
  }
  const addresses = await abortable(checkedAddresses(url, settings), limits.signal);
  const headers = new Headers(hop.headers);
  headers.set("accept-encoding", "identity");
  if (!headers.has("user-agent")) headers.set("user-agent", "agentanycast");
  if (hop.body !== undefined) headers.set("content-length", String(hop.body.byteLength));
  else if (/^(POST|PUT|PATCH)$/.test(hop.method)) headers.set("content-length", "0");
  for (const [name, value] of Object.entries(settings.headersFor(url.origin))) headers.set(name, value);
  return await sendPinned({ ...hop, headers, addresses, signal: limits.signal, connections });
}

/** Where a redirect leads to, as the Fetch standard has it; undefined when `response` is not one. */
function nextHop(hop: Hop, response: http.IncomingMessage): Hop | undefined {
  const { statusCode: status = 0, headers: { location } } = response;
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  const target = URL.parse(location, hop.url);
  if (target === null) {
    throw new CodedError("failed_precondition", `${hop.url.origin} redirects to something that is not a URL`);
  }
  const url = fetchable(target.href);
  if (hop.url.protocol === "https:" && url.protocol === "http:") {
    throw new CodedError(
      "failed_precondition",
      `${hop.url.origin} redirects from https: to http:, which is not followed`,
    );
  }
  const headers = new Headers(
    [...hop.headers].filter(([name]) => url.origin === hop.url.origin || HARMLESS_HEADERS.includes(name)),
  );
  const becomesGet = status === 303 ? hop.method !== "HEAD" : status < 303 && hop.method === "POST";
  if (!becomesGet) return { ...hop, url, headers };
  headers.delete("content-type");
  return { ...hop, url, headers, method: "GET", body: undefined };
}

function toResponse(
  message: http.IncomingMessage,
  { url, method }: Hop,
  { exchange, redirects }: { exchange: Exchange; redirects: number },
): Response {
  const { limits, maxBytes } = exchange;
  const status = message.statusCode ?? 0;
  if (status < 200 || status > 599) {
    message.destroy();
    throw new CodedError(
      "unavailable",
      `${url.origin} answered with the status ${status}, which means nothing`,
    );
  }
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const bodyless = [204, 205, 304].includes(status) || method === "HEAD";
  const body = bodyless ? null : responseBody(message, { origin: url.origin, maxBytes, limits });
  if (bodyless) {
    message.resume();
    limits[Symbol.dispose]();
  }
  if (message.headers["content-encoding"] !== undefined) {
    headers.delete("content-encoding");
    headers.delete("content-length");
  }
  const response = new Response(body, { status, headers });
  return Object.defineProperties(response, {
    url: { value: url.href },
    redirected: { value: redirects > 0 },
  });
}
