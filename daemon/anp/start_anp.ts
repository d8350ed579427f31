import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import { type HttpServer, startHttpServer } from "../../http/mod.ts";
import { type AnpAppDeps, createAnpApp } from "./anp_app.ts";

export interface StartAnpDeps extends AnpAppDeps {
  /** The name of this node's agent in ANP. */
  readonly did: () => string;
}

/**
 * Serves ANP where the settings say; undefined when they say nowhere.
 * @throws CodedError `invalid_argument`, `unavailable` (the address cannot be bound).
 */
export async function startAnp(
  { listen, publicUrl, anonymous, answerTimeoutMs, maxCalls }: Config["anp"],
  deps: StartAnpDeps,
): Promise<HttpServer | undefined> {
  if (listen === undefined) return undefined;
  if (publicUrl !== undefined && !/^https?:$/.test(URL.parse(publicUrl)?.protocol ?? "")) {
    throw new CodedError(
      "invalid_argument",
      `anp.public_url has to be an http: or https: URL, got ${publicUrl}`,
    );
  }
  const { did, logger } = deps;
  const app = createAnpApp(deps, { publicUrl, anonymous, answerTimeoutMs, maxCalls, did });
  const server = await startHttpServer({ fetch: app, logger }, { listen });
  logger.info("ANP is served", { url: `${server.url}/agent/ad.json` });
  return server;
}
