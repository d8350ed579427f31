import { CodedError } from "../core/errors.ts";
import { processSources } from "../core/config.ts";
import { namedSettings, type Resolved, resolveSettings } from "../core/resolve_settings.ts";
import { RELAY_ENV_PREFIX, RELAY_SETTINGS } from "../core/settings/relay.ts";
import { VERSION } from "../core/version.ts";
import type { Command } from "commander";
import { Option } from "commander";
import type { GoFlagKind } from "./go_flags.ts";
import { flagOf, toOption, toOptionName } from "./settings.ts";
import type { GlobalOptions } from "./verb.ts";

const SETTINGS = namedSettings(RELAY_SETTINGS, RELAY_ENV_PREFIX).filter(({ called }) => called.flag !== null);
/** Options that every verb has. */
const GLOBAL_FLAGS = ["home", "config"];
/** Flags of the existing relay for what this one does in another way, or not at all. */
const UNAVAILABLE_FLAGS: Readonly<Record<string, GoFlagKind>> = {
  "otlp-endpoint": "value",
};

/** Adds an option for each setting of a relay. */
export function addRelayOptions(command: Command): void {
  for (const setting of SETTINGS) {
    if (!GLOBAL_FLAGS.includes(flagOf(setting))) command.addOption(toOption(setting));
  }
  for (const flag of Object.keys(UNAVAILABLE_FLAGS)) {
    command.addOption(new Option(`--${flag} [value]`).hideHelp());
  }
}

/** All flags of a relay, for `normalizeGoFlags`. */
export function relayFlags(): ReadonlyMap<string, GoFlagKind> {
  return new Map<string, GoFlagKind>([
    ...SETTINGS.map((setting) => [flagOf(setting), setting.arity === "switch" ? "switch" : "value"] as const),
    ...Object.entries(UNAVAILABLE_FLAGS),
    ...["version", "help", "verbose"].map((flag) => [flag, "switch"] as const),
  ]);
}

/** The configuration of a relay that `options` and this process give, and where each value comes from. Throws `invalid_argument`. */
export function resolveRelayOptions(options: GlobalOptions): Resolved<typeof RELAY_SETTINGS> {
  const given = options as Readonly<Record<string, unknown>>;
  for (const flag of Object.keys(UNAVAILABLE_FLAGS)) {
    const value = given[toOptionName(flag)];
    if (value === undefined || value === "false") continue;
    throw new CodedError(
      "invalid_argument",
      `--${flag} is not available in version ${VERSION}: leave it out`,
    );
  }
  const flags: Record<string, string | readonly string[]> = {};
  for (const setting of SETTINGS) {
    const flag = flagOf(setting);
    const value = given[toOptionName(flag)];
    if (value === true) flags[flag] = "true";
    else if (typeof value === "string" || Array.isArray(value)) flags[flag] = value;
  }
  if (options.verbose) flags["log-level"] ??= "debug";
  return resolveSettings(RELAY_SETTINGS, processSources(flags), { envPrefix: RELAY_ENV_PREFIX });
}
