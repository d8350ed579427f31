import { flag, listenAddress } from "../setting.ts";

/** `[metrics]`: counts and health over HTTP. */
export const METRICS_SETTINGS = {
  enabled: flag(false, "serve /metrics and /health over HTTP"),
  listen: listenAddress("127.0.0.1:9090", "host:port of /metrics and /health"),
};
