import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { counted, type HttpHandler, type HttpServer, startHttpServer } from "../../http/mod.ts";
import { type AnpAppDeps, createAnpApp } from "./anp_app.ts";

export interface StartAnpDeps extends AnpAppDeps {
  /** The name of this node's agent in ANP. */
  readonly did: () => string;
  readonly meter: NodeMeter;
}

/** ANP as the settings have it, to be served. @throws CodedError `invalid_argument`. */
export function createAnp(
  { publicUrl, anonymous, answerTimeoutMs, maxCalls }: Config["anp"],
  deps: StartAnpDeps,
): HttpHandler {
  if (publicUrl !== undefined && !/^https?:$/.test(URL.parse(publicUrl)?.protocol ?? "")) {
    throw new CodedError(
      "invalid_argument",
      `anp.public_url has to be an http: or https: URL, got ${publicUrl}`,
    );
  }
  const { did, meter } = deps;
  const app = createAnpApp(deps, { publicUrl, anonymous, answerTimeoutMs, maxCalls, did });
  return counted(app, (status) => meter.count("anp_requests_total", { direction: "inbound", status }));
}

/**
 * Serves ANP where the settings say.
 * @throws CodedError `invalid_argument`, `unavailable` (the address cannot be bound).
 */
export async function startAnp(settings: Config["anp"], deps: StartAnpDeps): Promise<HttpServer> {
  const { listen } = settings;
  const { logger } = deps;
  const server = await startHttpServer({ fetch: createAnp(settings, deps), logger }, { listen });
  logger.info("ANP is served", { url: `${server.url}/agent/ad.json` });
  return server;
}
