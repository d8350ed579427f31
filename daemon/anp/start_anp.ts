import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { counted, type HttpServer, startHttpServer } from "../../http/mod.ts";
import { type AnpAppDeps, createAnpApp } from "./anp_app.ts";

export interface StartAnpDeps extends AnpAppDeps {
  /** The name of this node's agent in ANP. */
  readonly did: () => string;
  readonly meter: NodeMeter;
}

/**
 * Serves ANP where the settings say.
 * @throws CodedError `invalid_argument`, `unavailable` (the address cannot be bound).
 */
export async function startAnp(
  { listen, publicUrl, anonymous, answerTimeoutMs, maxCalls }: Config["anp"],
  deps: StartAnpDeps,
): Promise<HttpServer> {
  if (publicUrl !== undefined && !/^https?:$/.test(URL.parse(publicUrl)?.protocol ?? "")) {
    throw new CodedError(
      "invalid_argument",
      `anp.public_url has to be an http: or https: URL, got ${publicUrl}`,
    );
  }
  const { did, meter, logger } = deps;
  const app = createAnpApp(deps, { publicUrl, anonymous, answerTimeoutMs, maxCalls, did });
  const server = await startHttpServer({
    fetch: counted(app, (status) => meter.count("anp_requests_total", { direction: "inbound", status })),
    logger,
  }, { listen });
  logger.info("ANP is served", { url: `${server.url}/agent/ad.json` });
  return server;
}
