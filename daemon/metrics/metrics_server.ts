import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { VERSION } from "../../core/version.ts";
import { type HttpServer, startHttpServer } from "../../http/mod.ts";
import type { NodeMetrics } from "./node_meter.ts";

/** What is wrong with a part of the program; undefined for nothing. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>;

export interface MetricsServerDeps {
  prometheus: NonNullable<NodeMetrics["prometheus"]>;
  /** By the name of what they look at. A node is ready when all of them find nothing. */
  checks: Readonly<Record<string, HealthCheck>>;
  startedAtMs: number;
  logger: Logger;
}

/**
 * Serves `/metrics` (Prometheus text or OpenMetrics), `/health` and `/health/ready` (503 with the reasons when something is
 * wrong) and `/health/live` (200 while the process answers).
 */
export function startMetricsServer(
  { prometheus, checks, startedAtMs, logger }: MetricsServerDeps,
  { listen }: { listen: string },
): Promise<HttpServer> {
  const about = () => ({
    version: VERSION,
    uptime_seconds: Math.round((Date.now() - startedAtMs) / 1000),
  });
  const health = async () => {
    const reasons = await findReasons(checks);
    const status = reasons.length === 0 ? "healthy" : "unhealthy";
    return json(
      { status, ...about(), ...(reasons.length > 0 && { reasons }) },
      reasons.length === 0 ? 200 : 503,
    );
  };
  const answers: Record<string, (request: Request) => Response | Promise<Response>> = {
    "/metrics": async (request) => {
      const { body, contentType } = await prometheus.render(request.headers.get("accept") ?? "");
      return new Response(body, { headers: { "content-type": contentType } });
    },
    "/health": health,
    "/health/ready": health,
    "/health/live": () => json({ status: "alive", ...about() }, 200),
  };
  return startHttpServer({
    fetch: (request) => {
      const answer = answers[new URL(request.url).pathname];
      if (answer === undefined) return json({ error: "Not found: see /metrics and /health" }, 404);
      if (request.method !== "GET" && request.method !== "HEAD") {
        return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
      }
      return answer(request);
    },
    logger,
  }, { listen });
}

async function findReasons(checks: MetricsServerDeps["checks"]): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        const reason = await check();
        return reason === undefined ? [] : [`${name}: ${reason}`];
      } catch (error) {
        return [`${name}: ${errorMessage(error)}`];
      }
    }),
  );
  return found.flat();
}

function json(value: unknown, status: number): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store" } });
}
