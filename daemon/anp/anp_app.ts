import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import type { JsonObject } from "../../core/json.ts";
import type { Logger } from "../../core/log.ts";
import { addressKind, type HttpHandler } from "../../http/mod.ts";
import type { DidResolver } from "../../identity/mod.ts";
import type { AgentNetwork } from "../agent_network.ts";
import type { CallerId } from "../routed_transport.ts";
import { ANP_PATHS, type AnpAgent, toDescription, toDescriptionsPage, toInterface } from "./anp_documents.ts";
import { AnpRpc, type AnpRpcDeps, type AnpRpcOptions } from "./anp_rpc.ts";
import { DidAuth, type DidProof } from "./did_auth.ts";

export interface AnpAppDeps extends AnpRpcDeps {
  readonly network: Pick<AgentNetwork, "send" | "ownCard">;
  readonly resolver: DidResolver;
  /** DID documents and other public ones of this node, by their path. */
  readonly publicDocument: (pathname: string) => Promise<JsonObject | undefined>;
  readonly logger: Logger;
}

export interface AnpAppOptions extends AnpRpcOptions {
  /** Under which others reach it; undefined: as they call it. */
  readonly publicUrl: string | undefined;
  /** Who may give tasks without proving a DID. */
  readonly anonymous: "loopback" | "always" | "never";
  /** The name of the agent in ANP. */
  readonly did: () => string;
}

const NO_PROOF: DidProof = { kind: "none" };
/** What was signed for somebody else could be handed on here by him, under his name. */
const OTHER_NAME: DidProof = {
  kind: "refused",
  error: "invalid_request",
  reason:
    "This node is not known to have that name: signatures for it count when it is set as anp.public_url",
};

/** Wanted of the signature of a request. */
const ACCEPT_SIGNATURE =
  'sig1=("@method" "@target-uri" "@authority" "content-digest");created;expires;nonce;keyid';

const DESCRIPTIONS_PATH = "/.well-known/agent-descriptions";

/** What proxies add to requests. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/** This node's agent for clients of ANP: its description, its interface, JSON-RPC, and the documents of its DIDs. */
export function createAnpApp(deps: AnpAppDeps, options: AnpAppOptions): HttpHandler {
  const rpc = new AnpRpc(deps, options);
  const auth = new DidAuth(deps);
  const documents = createDocuments(deps, options);
  return async (request, { remoteAddress }) => {
    if (new URL(request.url).pathname !== ANP_PATHS.rpc) return await documents.fetch(request);
    if (isForeignPage(request, options)) return new Response("Not for pages of other sites", { status: 403 });
    if (request.method !== "POST") {
      return new Response("Only POST", { status: 405, headers: { allow: "POST" } });
    }
    const url = publicOf(request, options);
    // Nothing is read of a stranger who proves nothing.
    const isSigned = request.headers.has("signature") || request.headers.has("signature-input");
    if (!isSigned && callerOf(NO_PROOF, { request, remoteAddress }, options) === undefined) {
      return challenge(NO_PROOF, url);
    }
    if (isSigned && options.publicUrl === undefined && !isLocalName(url.hostname)) {
      return challenge(OTHER_NAME, url);
    }
    const body = new Uint8Array(await request.arrayBuffer());
    const proof = await auth.verify({ method: request.method, url, headers: request.headers }, body);
    const caller = callerOf(proof, { request, remoteAddress }, options);
    if (caller === undefined) return challenge(proof, url);
    const result = await rpc.answer(new TextDecoder().decode(body), {
      ...{ caller, signal: request.signal },
      trace: {
        traceParent: request.headers.get("traceparent") ?? "",
        traceState: request.headers.get("tracestate") ?? "",
      },
    });
    return result === undefined ? new Response(null, { status: 204 }) : Response.json(result);
  };
}

/** Whether a path is one of ANP, and of no other wire. */
export function isAnpPath(pathname: string): boolean {
  return Object.values(ANP_PATHS).some((path) => path === pathname) || pathname === DESCRIPTIONS_PATH;
}

/** Who is served; undefined for somebody who has to prove who it is. */
function callerOf(
  proof: DidProof,
  { request, remoteAddress }: { request: Request; remoteAddress: string },
  { anonymous, publicUrl }: AnpAppOptions,
): CallerId | undefined {
  if (proof.kind === "proven") return `anp:${proof.did}`;
  if (proof.kind === "refused" || anonymous === "never") return undefined;
  // Whoever comes through a proxy here is not here. A page that a browser here has opened may call by a name that leads
  // here: such a name does not count.
  const isDirect = publicUrl === undefined && !PROXY_HEADERS.some((name) => request.headers.has(name));
  const isHere = isDirect && addressKind(remoteAddress) === "loopback" &&
    isLocalName(new URL(request.url).hostname);
  return anonymous === "always" || isHere ? "anp:anonymous" : undefined;
}

/** Whether a browser calls for a page of another site. */
function isForeignPage(request: Request, options: AnpAppOptions): boolean {
  const origin = request.headers.get("origin");
  return origin !== null && origin !== publicOf(request, options).origin;
}

function isLocalName(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/** What a caller is told that has not proven who it is (ANP-02, section 3.2.4). */
function challenge(proof: DidProof, { host }: URL): Response {
  const { error, reason } = proof.kind === "refused"
    ? proof
    : { error: "invalid_request", reason: "Sign the request with a key of your DID" };
  const quoted = reason.replaceAll(/["\\\p{Cc}]/gu, "'");
  return Response.json({
    jsonrpc: "2.0",
    id: null,
    error: { code: -32000, message: reason, data: { error } },
  }, {
    status: 401,
    headers: {
      "www-authenticate": `DIDWba realm="${host}", error="${error}", error_description="${quoted}"`,
      "accept-signature": ACCEPT_SIGNATURE,
      "cache-control": "no-store",
    },
  });
}

function createDocuments(deps: AnpAppDeps, options: AnpAppOptions): Hono {
  const app = new Hono();
  const agentOf = (request: Request): AnpAgent | undefined => {
    const { ownCard: card } = deps.network;
    const baseUrl = publicOf(request, options).origin + pathOf(options.publicUrl);
    return card && { card, baseUrl, did: options.did() };
  };
  const serve = (path: string, toDocument: (agent: AnpAgent) => JsonObject) => {
    app.get(path, (context) => {
      const agent = agentOf(context.req.raw);
      return agent === undefined ? noAgent(context) : document(context, toDocument(agent));
    });
  };
  serve(ANP_PATHS.description, toDescription);
  serve(ANP_PATHS.interface, toInterface);
  app.get(DESCRIPTIONS_PATH, (context) => {
    const agent = agentOf(context.req.raw);
    const baseUrl = publicOf(context.req.raw, options).origin + pathOf(options.publicUrl);
    return document(context, toDescriptionsPage(agent === undefined ? [] : [agent], baseUrl));
  });
  app.get("*", async (context) => {
    const found = await deps.publicDocument(context.req.path);
    return found === undefined ? context.notFound() : document(context, found);
  });
  app.notFound((context) => context.json({ error: "There is nothing here" }, 404));
  return app;
}

/** A document that may be kept for a minute, and is not sent again while it stays the same. */
function document(context: Context, json: JsonObject): Response {
  const text = JSON.stringify(json);
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  const headers = { etag, "cache-control": "public, max-age=60", "content-type": "application/json" };
  const isKnown = context.req.header("if-none-match")?.split(",").some((one) => one.trim() === etag) ?? false;
  return new Response(isKnown ? null : text, { status: isKnown ? 304 : 200, headers });
}

function noAgent(context: Context): Response {
  return context.json({ error: "No agent has said yet what it is: set an agent card" }, 404);
}

/** The URL of a request as its sender has it. */
function publicOf(request: Request, { publicUrl }: AnpAppOptions): URL {
  const { pathname, search, href } = new URL(request.url);
  if (publicUrl === undefined) return new URL(href);
  return new URL(`${new URL(publicUrl).origin}${pathOf(publicUrl)}${pathname}${search}`);
}

function pathOf(publicUrl: string | undefined): string {
  return publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/$/, "");
}
