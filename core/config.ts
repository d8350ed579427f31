import { type ConfigOf, type ConfigSources, type Resolved, resolveSettings } from "./resolve_settings.ts";
import { BRIDGE_SETTINGS } from "./settings/bridge.ts";
import { IDENTITY_SETTINGS } from "./settings/identity.ts";
import { ANP_SETTINGS } from "./settings/anp.ts";
import { ANYCAST_SETTINGS } from "./settings/anycast.ts";
import { METRICS_SETTINGS } from "./settings/metrics.ts";
import { NETWORK_SETTINGS } from "./settings/nat.ts";
import { MCP_SETTINGS } from "./settings/mcp.ts";
import { NODE_SETTINGS } from "./settings/node.ts";
import { OUTBOUND_SETTINGS } from "./settings/outbound.ts";
import { POLICY_SETTINGS } from "./settings/policy.ts";
import { TELEMETRY_SETTINGS } from "./settings/telemetry.ts";
import { TASKS_SETTINGS } from "./settings/tasks.ts";

/** All settings of a daemon; the command line and the reading of file and environment are made from this table. */
export const DAEMON_SETTINGS = {
  "": NODE_SETTINGS,
  network: NETWORK_SETTINGS,
  identity: IDENTITY_SETTINGS,
  policy: POLICY_SETTINGS,
  tasks: TASKS_SETTINGS,
  anycast: ANYCAST_SETTINGS,
  metrics: METRICS_SETTINGS,
  telemetry: TELEMETRY_SETTINGS,
  outbound: OUTBOUND_SETTINGS,
  mcp: MCP_SETTINGS,
  bridge: BRIDGE_SETTINGS,
  anp: ANP_SETTINGS,
};

/** Everything a daemon is told, resolved once (flags before environment before file before defaults) and frozen. */
export type Config = ConfigOf<typeof DAEMON_SETTINGS>;

/** The configuration of a daemon. Throws as {@link resolveSettings}. */
export function resolveConfig(sources: ConfigSources): Config {
  return resolveSettings(DAEMON_SETTINGS, sources).config;
}

/** {@link resolveSettings} of a daemon over the environment and files of this process. */
export function loadConfig(flags: ConfigSources["flags"] = {}): Resolved<typeof DAEMON_SETTINGS> {
  return resolveSettings(DAEMON_SETTINGS, processSources(flags));
}

/** The environment and files of this process, with `flags`. */
export function processSources(flags: ConfigSources["flags"]): ConfigSources {
  const env = Deno.env.toObject();
  return { flags, env, userHome: env.HOME ?? env.USERPROFILE ?? Deno.cwd(), readFile: readIfThere };
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
