import { Hono } from "hono";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { HttpHandler } from "../../http/mod.ts";
import { MAX_PAGE_SIZE, type RegistryQuery } from "../../registry/mod.ts";
import { relayFacts, type RelayFactsDeps } from "../relay_facts.ts";
import type { Entry } from "../registry/entry.ts";
import type { RequestRate } from "../services/request_rate.ts";
import { toAgentJson } from "./agent_json.ts";
import { DASHBOARD_HEADERS, DASHBOARD_PAGE } from "./dashboard.ts";
import type { EventFeed } from "./event_feed.ts";
import { openApiDocument } from "./open_api.ts";
import { problem, toProblem } from "./problem.ts";

const USUAL_LIMIT = 100;
/** Seconds that browsers may reuse an answer to a preflight. */
const PREFLIGHT_SECONDS = "600";

/** What the API works with. */
export interface ApiDeps extends RelayFactsDeps {
  readonly rate: RequestRate;
  readonly feed: EventFeed;
  readonly logger: Logger;
}

/** Whose pages may read the API. */
export interface ApiOptions {
  /** Origins; `*` is all of them. Default none. */
  readonly corsOrigins: readonly string[];
}

interface Bindings {
  readonly remoteAddress: string;
}

/** The REST API, read only, and the dashboard. What is not there is 404, another method 405, all errors JSON (RFC 9457). */
export function createApi(deps: ApiDeps, { corsOrigins }: ApiOptions): HttpHandler {
  const app = new Hono<{ Bindings: Bindings }>();
  app.use(async (context, next) => {
    deps.rate.takeQuery({ peerId: undefined, host: context.env.remoteAddress });
    await next();
    const cors = corsHeaders(context.req.header("origin"), corsOrigins);
    for (const [name, value] of Object.entries(cors)) context.res.headers.set(name, value);
    context.res.headers.set("x-content-type-options", "nosniff");
  });
  addRoutes(app, deps);
  app.notFound((context) => {
    if (context.req.method === "OPTIONS") return new Response(null, { status: 204 });
    if (context.req.method === "GET" || context.req.method === "HEAD") {
      return problem(404, "not_found", `Nothing is at ${context.req.path}: see /api/v1/openapi.json`);
    }
    return problem(405, "unimplemented", "The API is read only", { allow: "GET, HEAD, OPTIONS" });
  });
  app.onError((error) => toProblem(error, deps.logger));
  return (request, info) => app.fetch(request, { remoteAddress: info.remoteAddress });
}

function addRoutes(app: Hono<{ Bindings: Bindings }>, deps: ApiDeps): void {
  const { directory, feed } = deps;
  app.get("/", () => new Response(DASHBOARD_PAGE, { headers: DASHBOARD_HEADERS }));
  app.get(
    "/api/v1/agents",
    async (context) => context.json(await listAgents(deps, new URL(context.req.url))),
  );
  app.get("/api/v1/agents/:peer_id", (context) => {
    const entry = directory.get(context.req.param("peer_id"));
    if (entry === undefined) throw new CodedError("not_found", "agent not found");
    return context.json(toAgentJson(entry));
  });
  app.get("/api/v1/skills", (context) => {
    const prefix = context.req.query("prefix") ?? "";
    const skills = directory.skills({ prefix })
      .map(({ id, description, agentCount }) => ({ id, description, agent_count: agentCount }));
    return context.json({ count: skills.length, skills });
  });
  app.get("/api/v1/stats", (context) => {
    const { registry, federation, relay } = relayFacts(deps);
    const { peers, healthy_peers } = federation ?? {};
    return context.json({ registry, ...(federation && { federation: { peers, healthy_peers } }), relay });
  });
  app.get("/api/v1/status", (context) => context.json(relayFacts(deps)));
  app.get("/api/v1/federation", (context) => {
    return context.json({ peers: relayFacts(deps).federation?.peer_details ?? [] });
  });
  app.get("/api/v1/events", (context) => feed.open(context.req.raw.signal));
  app.get("/api/v1/openapi.json", (context) => context.json(openApiDocument()));
}

async function listAgents({ directory }: ApiDeps, { searchParams }: URL) {
  const limit = countOf(searchParams, "limit", { byDefault: USUAL_LIMIT, least: 1, most: MAX_PAGE_SIZE });
  const offset = countOf(searchParams, "offset", { byDefault: 0, least: 0, most: Number.MAX_SAFE_INTEGER });
  const agents: Entry[] = [];
  let total = 0;
  await directory.findAll(toQuery(searchParams), (entry) => {
    if (total >= offset && agents.length < limit) agents.push(entry);
    total++;
  });
  const hasMore = offset + agents.length < total;
  const nextPageToken = hasMore ? agents.at(-1)?.peerId ?? "" : "";
  return { total, count: agents.length, next_page_token: nextPageToken, agents: agents.map(toAgentJson) };
}

function toQuery(params: URLSearchParams): RegistryQuery {
  return {
    skill: params.get("skill") ?? undefined,
    prefix: params.get("prefix") ?? undefined,
    text: params.get("q") ?? undefined,
    tags: Object.fromEntries(params.getAll("tag").map(toTag)),
    verifiedOnly: params.get("verified") === "true",
    federated: params.get("federated") !== "false",
    pageToken: params.get("page_token") ?? undefined,
  };
}

function toTag(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new CodedError(
    "invalid_argument",
    `tag must be name=value, got ${JSON.stringify(text.slice(0, 80))}`,
  );
}

function countOf(
  params: URLSearchParams,
  name: string,
  { byDefault, least, most }: { byDefault: number; least: number; most: number },
): number {
  const given = params.get(name);
  if (given === null) return byDefault;
  const value = /^\d{1,15}$/.test(given) ? Number(given) : NaN;
  if (value >= least) return Math.min(value, most);
  throw new CodedError("invalid_argument", `${name} must be a whole number of ${least} or more`);
}

function corsHeaders(origin: string | undefined, allowed: readonly string[]): Record<string, string> {
  if (allowed.length === 0) return {};
  if (origin === undefined || !(allowed.includes("*") || allowed.includes(origin))) return { vary: "Origin" };
  return {
    "vary": "Origin",
    "access-control-allow-origin": allowed.includes("*") ? "*" : origin,
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "Content-Type, Last-Event-ID",
    "access-control-max-age": PREFLIGHT_SECONDS,
  };
}
