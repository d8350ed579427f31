import { join } from "node:path";
import { duration, list, path } from "../setting.ts";

/** `[outbound]`: tasks for agents behind URLs. */
export const OUTBOUND_SETTINGS = {
  allow: list(
    [],
    "what tasks for URLs may reach although it is not at a public address: origins, host names, addresses, ranges",
  ),
  credentialsPath: path(
    ({ home }) => join(home, "credentials.toml"),
    "file with the credentials for agents behind URLs, by origin; it need not exist",
    { toml: "outbound.credentials", env: "AGENTANYCAST_OUTBOUND_CREDENTIALS", flag: "outbound-credentials" },
  ),
  answerTimeoutMs: duration(
    600_000,
    "how long an agent behind a URL that does not stream may take to answer a message",
  ),
};
