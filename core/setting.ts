import { isAbsolute, resolve } from "node:path";

/** What a default may depend on. */
export interface DefaultPaths {
  /** Folder of the configured program's files. */
  readonly home: string;
  /** The user's home directory. */
  readonly userHome: string;
}

/** What is wrong with a part of a `table`: with one of its keys, or of those of its tables. */
export class TableError extends SyntaxError {
  /** @param path keys, and places in lists, from the setting to what is wrong. */
  constructor(readonly path: readonly (string | number)[], message: string) {
    super(message);
  }
}

/** One setting: how its value is read from file, environment and command line, and what it is when nobody says it. */
export interface Setting<T = unknown> {
  /** How it is given on the command line; a `table` can only be given in the file. */
  readonly arity: "switch" | "value" | "list" | "table";
  readonly help: string;
  /** What its value is in a file, for editors. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Throws `SyntaxError` that says what it must be. */
  readonly parse: (raw: unknown, userHome: string) => T;
  readonly byDefault: T | ((paths: DefaultPaths) => T);
  /** The value as a file has it. Default as it is. */
  readonly show?: (value: unknown) => unknown;
  /** Whether giving it makes the section's `enabled` true, unless that is given too. */
  readonly enables?: boolean;
  /** Whether the value is nobody else's to read. */
  readonly secret?: boolean;
  /** Names that differ from what section and key make of them; null where it cannot be given. */
  readonly names?: Partial<SettingNames>;
}

/** What a setting is called. */
export interface SettingNames {
  /** In the file: `section.key`. */
  readonly toml: string | null;
  /** In the environment. */
  readonly env: string | null;
  /** On the command line, without the dashes. */
  readonly flag: string | null;
}

/** The settings of a section by the name that the program uses. */
export type Section = Readonly<Record<string, Setting>>;

/** The values of a section. */
export type Values<S extends Section> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** What every kind of setting is told besides its default. */
type Given = readonly [help: string, names?: Partial<SettingNames>];

/** A text that is not empty; `~` at its beginning is the user's home. */
export function text(byDefault: Setting<string>["byDefault"], ...given: Given): Setting<string> {
  const parse = (raw: unknown, userHome: string) => expandHome(parseText(raw), userHome);
  return setting({ arity: "value", parse, byDefault, schema: { type: "string" } }, given);
}

/** A text that may be missing. */
export function optionalText(...given: Given): Setting<string | undefined> {
  return { ...text("", ...given), byDefault: undefined };
}

/** Where a feature listens, as `host:port`; giving it switches the feature on. */
export function listenAddress(
  byDefault: string,
  help: string,
  names: Partial<SettingNames> = {},
): Setting<string> {
  return { ...text(byDefault, `${help}; giving it switches it on`, names), enables: true };
}

/** A text that may be missing and is never shown. */
export function secret(...given: Given): Setting<string | undefined> {
  return { ...optionalText(...given), secret: true };
}

/** A path; a relative one is taken from the current folder. */
export function path(byDefault: Setting<string>["byDefault"], ...given: Given): Setting<string> {
  return setting({ arity: "value", parse: parsePath, byDefault, schema: { type: "string" } }, given);
}

/** A path that may be missing. */
export function optionalPath(...given: Given): Setting<string | undefined> {
  return { ...path("", ...given), byDefault: undefined };
}

/** Texts: an array in the file, else separated by commas; the flag can be repeated. */
export function list(
  byDefault: Setting<readonly string[]>["byDefault"],
  ...given: Given
): Setting<readonly string[]> {
  const schema = { type: "array", items: { type: "string" } };
  return setting({ arity: "list", parse: parseList, byDefault, schema }, given);
}

/** True or false; the flag alone is true. */
export function flag(byDefault: boolean, ...given: Given): Setting<boolean> {
  return setting({ arity: "switch", parse: parseBoolean, byDefault, schema: { type: "boolean" } }, given);
}

/** A whole number of `least` (1) or more. */
export function count(
  byDefault: number,
  help: string,
  options: Partial<SettingNames> & { least?: number } = {},
) {
  const { least = 1, ...names } = options;
  const parse = (raw: unknown) => parseCount(raw, least);
  const schema = { type: "integer", minimum: least };
  return setting<number>({ arity: "value", parse, byDefault, schema }, [help, names]);
}

/** A number between `least` and `most`. */
export function ratio(byDefault: number, help: string, names: Partial<SettingNames> = {}): Setting<number> {
  const schema = { type: "number", minimum: 0, maximum: 1 };
  return setting({ arity: "value", parse: parseRatio, byDefault, schema }, [help, names]);
}

/** A time such as `30s`, in milliseconds; `0` is none. */
export function duration(byDefaultMs: number, ...given: Given): Setting<number> {
  const schema = { type: ["string", "integer"], pattern: "^(0|(\\d+(\\.\\d+)?(ms|s|m|h|d))+)$" };
  const show = (value: unknown) => formatDuration(Number(value));
  return setting({ arity: "value", parse: parseDuration, byDefault: byDefaultMs, schema, show }, given);
}

/** One of `allowed`; `aliases` are other words for some of them. */
export function oneOf<T extends string>(
  allowed: readonly T[],
  byDefault: T,
  help: string,
  options: Partial<SettingNames> & { aliases?: Readonly<Record<string, T>> } = {},
): Setting<T> {
  const { aliases = {}, ...names } = options;
  const parse = (raw: unknown) => parseOneOf(aliases[String(raw)] ?? raw, allowed);
  return setting({ arity: "value", parse, byDefault, schema: { enum: allowed } }, [help, names]);
}

/** Anything that a file can hold and a line cannot, such as a list of tables. `parse` throws `SyntaxError`. */
export function table<T>(
  byDefault: T,
  parse: (raw: unknown) => T,
  help: string,
  schema: Setting["schema"] = {},
): Setting<T> {
  return setting({ arity: "table", parse, byDefault, schema }, [help, { env: null, flag: null }]);
}

function setting<T>(kind: Omit<Setting<T>, "help" | "names">, [help, names]: Given): Setting<T> {
  return { ...kind, help, ...(names && { names }) };
}

/** The names of a setting: `keepMs` of `tasks` is `tasks.keep`, `AGENTANYCAST_TASKS_KEEP` and `--tasks-keep`. */
export function namesOf(
  { names = {} }: Pick<Setting, "names">,
  { section, key, envPrefix }: { section: string; key: string; envPrefix: string },
): SettingNames {
  const snake = key.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const joined = section === "" ? snake : `${section}_${snake}`;
  return {
    toml: section === "" ? snake : `${section}.${snake}`,
    env: `${envPrefix}_${joined.toUpperCase()}`,
    flag: joined.replaceAll("_", "-"),
    ...names,
  };
}

function parseText(raw: unknown): string {
  if (typeof raw !== "string" || raw === "") throw new SyntaxError("must be a text that is not empty");
  return raw;
}

function parsePath(raw: unknown, userHome: string): string {
  const given = expandHome(parseText(raw), userHome);
  return isAbsolute(given) ? given : resolve(given);
}

function parseList(raw: unknown): readonly string[] {
  const items = Array.isArray(raw) ? raw : [raw];
  return items.flatMap((item) => parseText(item).split(",")).map((item) => item.trim()).filter(Boolean);
}

function expandHome(given: string, userHome: string): string {
  return given.replace(/^(unix:\/\/)?~(?=\/|$)/, (_, scheme = "") => `${scheme}${userHome}`);
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

function parseCount(raw: unknown, least: number): number {
  const number = raw === "" ? NaN : Number(raw);
  if (!Number.isSafeInteger(number) || number < least) {
    throw new SyntaxError(`must be a whole number of ${least} or more`);
  }
  return number;
}

function parseRatio(raw: unknown): number {
  const number = raw === "" ? NaN : Number(raw);
  if (!(number >= 0 && number <= 1)) throw new SyntaxError("must be a number from 0 to 1");
  return number;
}

/** Milliseconds of a duration such as `30d`, `1h30m`, `45s` or `500ms`; `0` is none. */
export function parseDuration(raw: unknown): number {
  const given = String(raw);
  const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  if (given === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(given)) {
    throw new SyntaxError("must be a duration such as 30s, 90m or 24h");
  }
  let totalMs = 0;
  for (const [, amount, unit] of given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (unitMs[unit as string] as number);
  }
  return totalMs;
}

/** A duration in the way it is written: `24h`, `1m30s`, `0`. */
export function formatDuration(durationMs: number): string {
  const units = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;
  let rest = Math.round(durationMs);
  let written = "";
  for (const [unit, unitMs] of units) {
    const amount = Math.floor(rest / unitMs);
    if (amount > 0) written += `${amount}${unit}`;
    rest -= amount * unitMs;
  }
  return written || "0";
}

/** The value of a setting when nobody says it. */
export function defaultOf<T>({ byDefault }: Pick<Setting<T>, "byDefault">, paths: DefaultPaths): T {
  return typeof byDefault === "function" ? (byDefault as (paths: DefaultPaths) => T)(paths) : byDefault;
}
