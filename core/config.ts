import { isAbsolute, join, resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { CodedError, errorMessage } from "./errors.ts";
import { LOG_LEVELS, type LogFormat, type LogLevel } from "./log.ts";
import { type Setting, type SettingKind, SETTINGS } from "./settings.ts";

/** Everything a daemon is told, resolved once (flags before environment before file before defaults) and frozen. */
export interface Config {
  /** Folder that holds key, socket, store and logs. Default `~/.agentanycast`. */
  readonly home: string;
  /** The configuration file; it need not exist. Default `<home>/config.toml`. */
  readonly configPath: string;
  /** Identity file. Default `<home>/key`. */
  readonly keyPath: string;
  /** Folder of the store. Default `<home>/data`. */
  readonly storePath: string;
  /** Where the gRPC service listens: `unix:///path` or `tcp://host:port`. Default `unix://<home>/daemon.sock`. */
  readonly grpcListen: string;
  /** Multiaddrs to listen on for peers. Default `/ip4/0.0.0.0/tcp/0`. */
  readonly listenAddrs: readonly string[];
  /** Multiaddrs (ending in `/p2p/<id>`) to stay connected to. */
  readonly bootstrapPeers: readonly string[];
  /** Whether peers on the local network are looked for. Default true. */
  readonly enableMdns: boolean;
  /** DNS-SD service under which they are looked for. Default `_agentanycast._udp.local`. */
  readonly mdnsServiceTag: string;
  /** Addresses or names of the network interfaces mDNS uses; empty means all of them. */
  readonly mdnsInterfaces: readonly string[];
  /** How long an undelivered envelope is kept, in milliseconds; 0 is without limit. Default 24 h. */
  readonly offlineQueueTtlMs: number;
  /** Most undelivered tasks and messages for one peer. Default 20,000. */
  readonly offlineQueueMax: number;
  /** Whether peers that know it are sent envelopes over `/agentanycast/a2a/2.0`. Default true. */
  readonly enableFastLane: boolean;
  /** How long ended tasks are kept, in milliseconds. Default 30 days. */
  readonly tasksKeepMs: number;
  /** Of more tasks than this the oldest ended ones are removed. Default 100,000. */
  readonly tasksKeepCount: number;
  /** A received task fails when no agent takes it up, or its agent stays away, for this time, in milliseconds. Default 24 h. */
  readonly tasksAgentTimeoutMs: number;
  /** A task of which the other side has not said anything for this time fails, in milliseconds. Default 7 days. */
  readonly tasksIdleTimeoutMs: number;
  /** How long a worker's claim on a task lasts without renewal, in milliseconds. Default 30 s. */
  readonly tasksClaimLeaseMs: number;
  /** Default `info`. */
  readonly logLevel: LogLevel;
  /** Default `text`. */
  readonly logFormat: LogFormat;
  /** Where the log goes: standard error, `<home>/logs/agentanycast.log`, or `both`, which is the default. */
  readonly logOutput: "both" | "stderr" | "file";
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** What a configuration is made from. */
export interface ConfigSources {
  /** Values by flag name, as typed; several values of a list come as an array. */
  flags: Readonly<Record<string, string | readonly string[] | undefined>>;
  env: Readonly<Record<string, string | undefined>>;
  /** The user's home directory, for `~`. */
  userHome: string;
  /** Text of the configuration file, or undefined when there is none. */
  readFile: (path: string) => string | undefined;
}

/**
 * The configuration that `sources` add up to.
 * @throws CodedError `invalid_argument` that lists every problem found, each with where it comes from.
 */
export function resolveConfig(sources: ConfigSources): Config {
  const problems: string[] = [];
  const given = (setting: Setting) => pick(setting, sources, problems);
  const setting = (key: keyof Config) => SETTINGS.find((s) => s.key === key) as Setting;
  const home = (given(setting("home")) ?? join(sources.userHome, ".agentanycast")) as string;
  const configPath = (given(setting("configPath")) ?? join(home, "config.toml")) as string;
  const values: Record<string, unknown> = {
    home,
    configPath,
    keyPath: join(home, "key"),
    storePath: join(home, "data"),
    grpcListen: `unix://${join(home, "daemon.sock")}`,
    listenAddrs: ["/ip4/0.0.0.0/tcp/0"],
    bootstrapPeers: [],
    enableMdns: true,
    mdnsServiceTag: "_agentanycast._udp.local",
    mdnsInterfaces: [],
    offlineQueueTtlMs: DAY_MS,
    offlineQueueMax: 20_000,
    enableFastLane: true,
    tasksKeepMs: 30 * DAY_MS,
    tasksKeepCount: 100_000,
    tasksAgentTimeoutMs: DAY_MS,
    tasksIdleTimeoutMs: 7 * DAY_MS,
    tasksClaimLeaseMs: 30_000,
    logLevel: "info",
    logFormat: "text",
    logOutput: "both",
  };
  const file = readConfigFile(configPath, sources, problems);
  for (const s of SETTINGS) {
    if (s.key === "home" || s.key === "configPath") continue;
    const fromFile = s.toml === undefined ? undefined : file[s.toml];
    const value = given(s) ??
      (fromFile === undefined
        ? undefined
        : convert(s, fromFile, `${configPath}: ${s.toml}`, sources, problems));
    if (value !== undefined) values[s.key] = value;
  }
  if (problems.length > 0) {
    throw new CodedError(
      "invalid_argument",
      `The configuration cannot be used:\n  - ${problems.join("\n  - ")}`,
    );
  }
  return Object.freeze(values) as unknown as Config;
}

/** {@link resolveConfig} over the environment and files of this process. */
export function loadConfig(flags: ConfigSources["flags"] = {}): Config {
  const env = Deno.env.toObject();
  return resolveConfig({
    flags,
    env,
    userHome: env.HOME ?? env.USERPROFILE ?? Deno.cwd(),
    readFile: readIfThere,
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readConfigFile(path: string, sources: ConfigSources, problems: string[]): Record<string, unknown> {
  let table: Record<string, unknown>;
  try {
    const text = sources.readFile(path);
    if (text === undefined) {
      const asked = sources.flags.config ?? sources.env.AGENTANYCAST_CONFIG;
      if (asked !== undefined) problems.push(`${path}: the file does not exist`);
      return {};
    }
    table = parseToml(text) as Record<string, unknown>;
  } catch (error) {
    const where = error instanceof TomlError ? `${path}:${error.line}:${error.column}` : path;
    problems.push(`${where}: ${errorMessage(error).split("\n")[0]}`);
    return {};
  }
  const known = SETTINGS.flatMap((s) => s.toml ?? []);
  const values = flatten(table);
  for (const key of Object.keys(values)) {
    if (!known.includes(key)) problems.push(`${path}: unknown key "${key}": known are ${known.join(", ")}`);
  }
  return values;
}

/** The keys of a section behind its name: `keep` of `[tasks]` is `tasks.keep`. */
function flatten(table: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, value]) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([inner, one]) => [`${key}.${inner}`, one])
        : [[key, value]]
    ),
  );
}

function pick(setting: Setting, sources: ConfigSources, problems: string[]): unknown {
  const flag = sources.flags[setting.flag];
  if (flag !== undefined) return convert(setting, flag, `--${setting.flag}`, sources, problems);
  const env = setting.env === undefined ? undefined : sources.env[setting.env];
  if (env === undefined || env === "") return undefined;
  return convert(setting, env, setting.env as string, sources, problems);
}

function convert(
  s: Setting,
  raw: unknown,
  where: string,
  sources: ConfigSources,
  problems: string[],
): unknown {
  try {
    return CONVERTERS[s.kind](raw, sources.userHome);
  } catch (error) {
    problems.push(`${where}: ${errorMessage(error)}, got ${JSON.stringify(raw)}`);
    return undefined;
  }
}

const CONVERTERS: Record<SettingKind, (raw: unknown, userHome: string) => unknown> = {
  text: (raw, userHome) => expandHome(parseText(raw), userHome),
  path: (raw, userHome) => {
    const path = expandHome(parseText(raw), userHome);
    return isAbsolute(path) ? path : resolve(path);
  },
  list: (raw) =>
    (Array.isArray(raw) ? raw : [raw]).flatMap((item) => parseText(item).split(",")).map((item) =>
      item.trim()
    ).filter(Boolean),
  bool: (raw) => parseBoolean(raw),
  count: (raw) => parseCount(raw),
  duration: (raw) => parseDuration(raw),
  log_level: (raw) => parseOneOf(raw === "warning" ? "warn" : raw, LOG_LEVELS),
  log_format: (raw) => parseOneOf(raw, ["text", "json"]),
  log_output: (raw) => parseOneOf(raw, ["both", "stderr", "file"]),
};

function parseText(raw: unknown): string {
  if (typeof raw !== "string" || raw === "") throw new SyntaxError("must be a text that is not empty");
  return raw;
}

function expandHome(text: string, userHome: string): string {
  return text.replace(/^(unix:\/\/)?~(?=\/|$)/, (_, scheme = "") => `${scheme}${userHome}`);
}

function parseBoolean(raw: unknown): boolean {
  if (raw === true || raw === "true" || raw === "1" || raw === "") return true;
  if (raw === false || raw === "false" || raw === "0") return false;
  throw new SyntaxError("must be true or false");
}

function parseOneOf<T extends string>(raw: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === raw);
  if (found === undefined) throw new SyntaxError(`must be one of ${allowed.join(", ")}`);
  return found;
}

function parseCount(raw: unknown): number {
  const count = Number(raw);
  if (!Number.isSafeInteger(count) || count < 1) throw new SyntaxError("must be a whole number of 1 or more");
  return count;
}

/** Milliseconds of a duration such as `30d`, `1h30m`, `45s` or `500ms`; `0` is none. */
export function parseDuration(raw: unknown): number {
  const text = String(raw);
  const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS };
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    throw new SyntaxError("must be a duration such as 30s, 90m or 24h");
  }
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (unitMs[unit as string] as number);
  }
  return totalMs;
}
