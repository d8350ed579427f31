import type { HttpHandler, Prometheus } from "../../http/mod.ts";
import { relayFacts, type RelayFactsDeps } from "../relay_facts.ts";
import type { RELAY_METRICS } from "../relay_metrics.ts";
import { problem } from "./problem.ts";

/** What is served. */
export interface HealthDeps extends RelayFactsDeps {
  readonly prometheus: Prometheus<typeof RELAY_METRICS>;
  /** What is wrong with the store; undefined for nothing. */
  checkStore(): Promise<string | undefined>;
}

/**
 * `/metrics`; `/health` and `/health/ready`, 503 when the relay cannot do its work; `/health/live`, 200 while it answers. Other
 * relays that are away make it `degraded`, which is still 200: it works without them.
 */
export function createHealth(deps: HealthDeps): HttpHandler {
  const ready = async () => {
    const reason = await deps.checkStore();
    if (reason === undefined) return json(relayFacts(deps), 200);
    return json({ ...relayFacts(deps), status: "unhealthy", reasons: [reason] }, 503);
  };
  const answers: Record<string, (request: Request) => Response | Promise<Response>> = {
    "/health": ready,
    "/health/ready": ready,
    "/health/live": () => json({ status: "alive" }, 200),
    "/metrics": async (request) => {
      const { body, contentType } = await deps.prometheus.render(request.headers.get("accept") ?? "");
      return new Response(body, { headers: { "content-type": contentType } });
    },
  };
  return (request) => {
    const answer = answers[new URL(request.url).pathname];
    if (answer === undefined) return problem(404, "not_found", "Nothing is here: see /health and /metrics");
    if (request.method === "GET" || request.method === "HEAD") return answer(request);
    return problem(405, "unimplemented", "Only GET is answered", { allow: "GET, HEAD" });
  };
}

function json(value: unknown, status: number): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store" } });
}
