import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { RequestInfo } from "../../http/mod.ts";
import { isPeerId } from "../../identity/mod.ts";
import type { A2aBinding, A2aCall, A2aTarget, A2aVersion } from "../a2a_api/a2a_call.ts";
import { httpStatusOf } from "../a2a_api/a2a_error.ts";
import type { Authenticator } from "../a2a_api/authenticate.ts";
import type { BridgeDeps } from "./bridge_deps.ts";
import { addDiscovery, type DiscoveryDocuments } from "./discovery.ts";
import { answerRpc, errorObject, readRpc, rpcError, type RpcRequest, versionOfMethod } from "./json_rpc.ts";
import type { ProxyTrust, Route } from "../../http/mod.ts";
import { answerRest, restError, type RestOperation } from "./rest.ts";
import { readVersion } from "../a2a_api/read_version.ts";

export interface BridgeAppDeps extends BridgeDeps {
  authenticator: Authenticator;
  proxies: ProxyTrust;
  documents: DiscoveryDocuments;
}

export interface BridgeAppOptions {
  /** Origins whose pages may call. */
  corsOrigins: readonly string[];
  /**
   * Whether requests may name any host. Otherwise only this machine's: a page of another name that resolves to it would be
   * of the same origin to its browser, and call as whoever looks at it.
   */
  anyHost: boolean;
}

/** What Hono keeps of a request. */
export type BridgeEnv = { Bindings: { info: RequestInfo } };
type BridgeContext = Context<BridgeEnv>;

/** Longest request of which the body is read although nobody knows its sender. */
const MAX_STRANGER_BYTES = 64 * 1024;
/** Paths of the REST binding below an agent. */
const REST_ROUTES: readonly (readonly ["GET" | "POST" | "DELETE", string, RestOperation])[] = [
  ["POST", "/message:send", "send"],
  ["POST", "/message:stream", "stream"],
  ["GET", "/tasks", "list"],
  ["GET", "/tasks/:id/pushNotificationConfigs", "list_webhooks"],
  ["POST", "/tasks/:id/pushNotificationConfigs", "create_webhook"],
  ["GET", "/tasks/:id/pushNotificationConfigs/:config", "get_webhook"],
  ["DELETE", "/tasks/:id/pushNotificationConfigs/:config", "delete_webhook"],
  ["GET", "/extendedAgentCard", "extended_card"],
];
/** A task's verbs are at the end of its id. */
const TASK_VERBS: Readonly<Record<string, RestOperation>> = {
  ":cancel": "cancel",
  ":subscribe": "subscribe",
};

/**
 * The bridge as one HTTP application: A2A 1.0 and 0.3 over JSON-RPC and REST, the older dialect, and documents for
 * discovery, for this node's own agent and for any other below `/agents/<peer id>` and `/skills/<skill>`.
 */
export function createBridgeApp(deps: BridgeAppDeps, options: BridgeAppOptions): Hono<BridgeEnv> {
  const app = new Hono<BridgeEnv>({ strict: false });
  app.use(guardOrigins(options.corsOrigins));
  if (!options.anyHost) app.use(guardHost);
  if (options.corsOrigins.length > 0) {
    const origin = options.corsOrigins.includes("*") ? "*" : [...options.corsOrigins];
    app.use(cors({ origin, exposeHeaders: ["A2A-Version", "A2A-Extensions"], maxAge: 86_400 }));
  }
  addDiscovery(app, deps);
  for (const base of ["/agents/:peer", "/skills/:skill", ""]) {
    addRest(app, base, deps);
    addRest(app, `${base}/v1`, deps, "0.3");
    if (base !== "") app.post(`${base}/*`, (c) => answerRpcRequest(c, deps));
    if (base !== "") app.post(base, (c) => answerRpcRequest(c, deps));
  }
  addRest(app, "/:tenant", deps);
  app.post("*", (c) => answerRpcRequest(c, deps));
  app.get("*", async (c) => {
    const document = await deps.documents.publicDocument(new URL(c.req.url).pathname);
    return document === undefined ? c.notFound() : c.json(document);
  });
  app.notFound((c) =>
    c.json({ error: { code: 404, status: "NOT_FOUND", message: "Not found", details: [] } }, 404)
  );
  app.onError((error) => restError(deps, error, { version: "1.0" }));
  return app;
}

/** A request to another name than this machine's is refused. */
async function guardHost(c: BridgeContext, next: () => Promise<void>) {
  const { hostname } = new URL(c.req.url);
  if (/^(localhost|.+\.localhost|[\d.]+|\[.*\])$/.test(hostname)) return await next();
  return c.text("The bridge has not got this name: see bridge.public_url\n", 403);
}

/** A web page of an origin that is not listed is refused before anything is done for it. */
function guardOrigins(allowed: readonly string[]) {
  return async (c: BridgeContext, next: () => Promise<void>): Promise<Response | void> => {
    const origin = c.req.header("origin");
    if (origin === undefined || allowed.includes("*") || allowed.includes(origin)) return await next();
    return c.text("Pages of this origin may not call: see bridge.cors_origins\n", 403);
  };
}

function addRest(app: Hono<BridgeEnv>, base: string, deps: BridgeAppDeps, version?: A2aVersion): void {
  for (const [method, path, operation] of REST_ROUTES) {
    app.on(method, `${base}${path}`, (c) => answerRestRequest(c, deps, { operation, version }));
  }
  const answerTask = (c: BridgeContext) => {
    const id = c.req.param("id") ?? "";
    const [verb, operation] = Object.entries(TASK_VERBS).find(([verb]) => id.endsWith(verb)) ?? [];
    if (operation === undefined || verb === undefined) {
      return c.req.method === "GET"
        ? answerRestRequest(c, deps, { operation: "get", version, taskId: id })
        : answerRpcRequest(c, deps);
    }
    if (operation === "cancel" && c.req.method === "GET") return c.notFound();
    return answerRestRequest(c, deps, { operation, version, taskId: id.slice(0, -verb.length) });
  };
  app.on(["GET", "POST"], `${base}/tasks/:id`, answerTask);
  if (version === "0.3") {
    app.get(`${base}/card`, (c) => answerRestRequest(c, deps, { operation: "extended_card", version }));
  }
}

interface RestRoute {
  readonly operation: RestOperation;
  readonly version?: A2aVersion | undefined;
  readonly taskId?: string;
}

async function answerRestRequest(c: BridgeContext, deps: BridgeAppDeps, route: RestRoute): Promise<Response> {
  const fallback = route.version ?? "1.0";
  try {
    const call = beginCall(c, deps, { binding: "http_json", fallback });
    return await answerRest(deps, {
      operation: route.operation,
      taskId: route.taskId ?? c.req.param("id") ?? "",
      configId: c.req.param("config") ?? "",
      query: new URL(c.req.url).searchParams,
      body: await readBody(c),
      takesA2aJson: [c.req.header("accept"), c.req.header("content-type")].some((header) =>
        header?.includes("application/a2a+json")
      ),
    }, call);
  } catch (error) {
    return challenged(restError(deps, error, { version: fallback }), deps);
  }
}

async function answerRpcRequest(c: BridgeContext, deps: BridgeAppDeps): Promise<Response> {
  let request: RpcRequest | Response | undefined;
  try {
    checkCallerOfLong(c, deps);
    request = readRpc(await readBody(c));
    if (request instanceof Response) return request;
    const fallback = versionOfMethod(request.method) ?? "0.3";
    return await answerRpc(deps, request, beginCall(c, deps, { binding: "jsonrpc", fallback }));
  } catch (thrown) {
    const error = toCodedError(thrown);
    const id = request === undefined || request instanceof Response ? null : request.id;
    // What is wrong with the caller himself is said by HTTP too.
    const isHttp = error.code === "unauthenticated" || error.code === "resource_exhausted";
    return challenged(rpcError(id, errorObject(error), isHttp ? httpStatusOf(error) : 200), deps);
  }
}

/** Of a stranger only so much is read as tells the id of his request. @throws CodedError `unauthenticated`. */
function checkCallerOfLong(c: BridgeContext, deps: BridgeAppDeps): void {
  const length = Number(c.req.header("content-length") ?? Infinity);
  if (length > MAX_STRANGER_BYTES) callerOf(c, deps);
}

function challenged(response: Response, { authenticator }: BridgeAppDeps): Response {
  if (response.status === 401) response.headers.set("www-authenticate", authenticator.challenge);
  return response;
}

/** @throws CodedError `invalid_argument`, also as CONTENT_TYPE_NOT_SUPPORTED. */
async function readBody(c: BridgeContext): Promise<string> {
  if (c.req.method !== "POST") return "";
  const body = await c.req.text();
  const type = c.req.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (body === "" || type === "" || type === "application/json" || type === "application/a2a+json") {
    return body;
  }
  throw new CodedError("invalid_argument", `Content-Type ${type} is not taken: send application/json`, {
    details: { reason: "CONTENT_TYPE_NOT_SUPPORTED", domain: "a2a-protocol.org" },
  });
}

/** @throws CodedError `unauthenticated`, VERSION_NOT_SUPPORTED, `invalid_argument`. */
function beginCall(
  c: BridgeContext,
  { authenticator, proxies }: BridgeAppDeps,
  { binding, fallback }: { binding: A2aBinding; fallback: A2aVersion },
): A2aCall {
  const header = (name: string) => c.req.header(name);
  const { caller, route } = callerOf(c, { authenticator, proxies });
  const version = readVersion(header("a2a-version") ?? c.req.query("A2A-Version"), fallback);
  const lastEventId = Number(header("last-event-id") ?? NaN);
  return {
    caller: `http:${caller}`,
    isAuthenticated: authenticator.isRequired,
    target: targetOf(c),
    origin: route.origin,
    ...{ binding, version },
    extensions: (header("a2a-extensions") ?? header("x-a2a-extensions") ?? "").split(",")
      .map((uri) => uri.trim()).filter(Boolean),
    trace: { traceParent: header("traceparent") ?? "", traceState: header("tracestate") ?? "" },
    ...(Number.isSafeInteger(lastEventId) && lastEventId >= 0 && { lastEventId }),
    signal: c.req.raw.signal,
  };
}

/** Who calls, and by which way. @throws CodedError `unauthenticated`. */
function callerOf(
  c: BridgeContext,
  { authenticator, proxies }: Pick<BridgeAppDeps, "authenticator" | "proxies">,
): { caller: string; route: Route } {
  const route = proxies.routeOf(c.req.raw, c.env.info);
  const header = (name: string) => c.req.header(name);
  const caller = authenticator.identify({ header, certificate: route.certificate });
  if (caller !== undefined) return { caller, route };
  throw new CodedError(
    "unauthenticated",
    "Credentials are missing or not known: see securitySchemes of the agent card",
  );
}

/** Which agent the path is for. @throws CodedError `invalid_argument`. */
export function targetOf(c: BridgeContext): A2aTarget {
  const peerId = c.req.param("peer");
  if (peerId !== undefined) {
    if (!isPeerId(peerId)) {
      throw new CodedError(
        "invalid_argument",
        `${String(peerId).slice(0, 80)} is no peer id: it begins with 12D3KooW`,
      );
    }
    return { kind: "peer", peerId };
  }
  const skillId = c.req.param("skill");
  return skillId === undefined ? { kind: "self" } : { kind: "skill", skillId };
}
