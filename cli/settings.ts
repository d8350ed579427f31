import { dirname } from "node:path";
import { type Command, Option } from "commander";
import { type Config, DAEMON_SETTINGS, loadConfig } from "../core/config.ts";
import { shownValue } from "../core/config_file.ts";
import { defaultOf } from "../core/setting.ts";
import { type NamedSetting, namedSettings } from "../core/resolve_settings.ts";
import { CodedError } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import type { GoFlagKind } from "./go_flags.ts";
import type { GlobalOptions } from "./verb.ts";

/** The settings that can be given on the command line. */
const SETTINGS = namedSettings(DAEMON_SETTINGS).filter(({ called }) => called.flag !== null);
/** Settings that are options of every verb. */
const GLOBAL_FLAGS = ["home", "config"];

/** Flags of other implementations that change nothing here. */
const IGNORED_FLAGS: Readonly<Record<string, string>> = {
  transport: "accepted for existing SDKs, without effect: transports follow from the addresses",
  namespace: "accepted for existing SDKs, without effect",
};

/** Flags of other implementations for what this version cannot do. */
const UNAVAILABLE_FLAGS: Readonly<Record<string, GoFlagKind>> = {
  "nats-broker": "value",
};

/** Options by the names that the parser gives them. */
type Options = Readonly<Record<string, unknown>>;

/** Adds the options that every verb takes to the program. */
export function addGlobalOptions(program: Command): void {
  for (const setting of SETTINGS.filter(isGlobal)) {
    program.addOption(toOption(setting));
  }
  program.option(
    "--relay <multiaddr>",
    "relay to be found by and to find agents with, or peer to stay connected to (repeatable)",
    collect,
  );
  program.option("-v, --verbose", "write a debug log to stderr");
}

/** Adds an option for each setting, and those of other implementations that SDKs may pass. */
export function addDaemonOptions(command: Command): void {
  for (const setting of SETTINGS.filter((setting) => !isGlobal(setting))) {
    command.addOption(toOption(setting));
  }
  command.option("--no-mdns", "same as --enable-mdns=false");
  command.option(
    "--stop-with-stdin",
    "stop when stdin ends, which a program that starts the daemon keeps open, and no other program has joined",
  );
  for (const [flag, help] of Object.entries(IGNORED_FLAGS)) command.option(`--${flag} <value>`, help);
  for (const flag of Object.keys(UNAVAILABLE_FLAGS)) {
    command.addOption(new Option(`--${flag} [value]`).hideHelp());
  }
}

/** All flags of a daemon, for {@link normalizeGoFlags}. */
export function daemonFlags(): ReadonlyMap<string, GoFlagKind> {
  return new Map<string, GoFlagKind>([
    ...SETTINGS.map((setting) => [flagOf(setting), setting.arity === "switch" ? "switch" : "value"] as const),
    ...Object.keys(IGNORED_FLAGS).map((flag) => [flag, "value"] as const),
    ...Object.entries(UNAVAILABLE_FLAGS),
    ...["version", "help", "verbose", "no-mdns", "stop-with-stdin"].map((flag) => [flag, "switch"] as const),
    ["relay", "value"],
  ]);
}

/**
 * The configuration that `options` and the environment of this process give. With `homeOfSocket`, the home is the folder of
 * the gRPC socket unless it is named: SDKs of the existing network name all but the home. Throws `invalid_argument`.
 */
export function toConfig(options: GlobalOptions, { homeOfSocket = false } = {}): Config {
  const { config } = resolveOptions(options, { homeOfSocket });
  return Object.freeze({ ...config, bootstrapPeers: [...config.bootstrapPeers, ...options.relay ?? []] });
}

/** The configuration of {@link toConfig}, and where each value comes from. */
export function resolveOptions(
  options: GlobalOptions,
  { homeOfSocket = false } = {},
): ReturnType<typeof loadConfig> {
  const given = options as Options;
  refuseUnavailable(given);
  const flags: Record<string, string | readonly string[]> = {};
  for (const setting of SETTINGS) {
    const flag = flagOf(setting);
    const value = given[toOptionName(flag)];
    if (value === true) flags[flag] = "true";
    else if (typeof value === "string" || Array.isArray(value)) flags[flag] = value;
  }
  if (given.mdns === false) flags["enable-mdns"] = "false";
  if (options.verbose) flags["log-level"] ??= "debug";
  const socket = /^unix:\/\/(\/.+)$/.exec(String(flags["grpc-listen"] ?? ""))?.[1];
  if (homeOfSocket && socket !== undefined && !Deno.env.get("AGENTANYCAST_HOME")) {
    flags.home ??= dirname(socket);
  }
  return loadConfig(flags);
}

function refuseUnavailable(options: Options): void {
  const asked = Object.keys(UNAVAILABLE_FLAGS).find((flag) => {
    const value = options[toOptionName(flag)];
    return value !== undefined && value !== "false";
  });
  if (asked === undefined) return;
  throw new CodedError("invalid_argument", `--${asked} is not available in version ${VERSION}: leave it out`);
}

/** The flag of a setting that has one, without its dashes. */
export function flagOf({ called }: NamedSetting): string {
  return called.flag ?? "";
}

function isGlobal(setting: NamedSetting): boolean {
  return GLOBAL_FLAGS.includes(flagOf(setting));
}

/** The option of the command line for a setting. */
export function toOption(setting: NamedSetting): Option {
  const { arity, help } = setting;
  const isList = arity === "list";
  const option = new Option(
    `--${flagOf(setting)} ${arity === "switch" ? "[true|false]" : isList ? "<a,b>" : "<value>"}`,
    `${help}${isList ? " (repeatable)" : ""}${defaultNote(setting)}`,
  );
  return isList ? option.argParser(collect) : option;
}

/** What holds when the option is not given; nothing for a setting without a default. */
function defaultNote(setting: NamedSetting): string {
  const value = shownValue(setting, defaultOf(setting, { home: "<home>", userHome: "~" }));
  const text = value === undefined ? "" : String(value);
  const ofRelay = flagOf(setting) === "home" ? `, of a relay ${text}/relay` : ""; // the option is one of every verb
  return text === "" ? "" : ` (default: ${text}${ofRelay})`;
}

/** Gathers the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** The name by which the parser gives the value of a flag. */
export function toOptionName(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
