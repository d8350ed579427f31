import { parse as parseToml, TomlError } from "smol-toml";
import { CodedError, errorMessage } from "./errors.ts";
import { nearest } from "./nearest.ts";
import {
  defaultOf,
  type DefaultPaths,
  namesOf,
  type Section,
  type Setting,
  type SettingNames,
  TableError,
  type Values,
} from "./setting.ts";

/** The sections of a program's settings; those of `""` stand outside of any. It has `home` and `configPath`. */
export type SettingsTable = Readonly<Record<string, Section>> & {
  readonly "": Section & { readonly home: Setting<string>; readonly configPath: Setting<string> };
};

/** The values of a table: those outside of sections by their name, the others below the name of their section. */
export type ConfigOf<T extends SettingsTable> =
  & Values<T[""]>
  & { readonly [K in Exclude<keyof T & string, "">]: T[K] extends Section ? Values<T[K]> : never };

/** A setting with all that it is called. */
export interface NamedSetting extends Setting, Required<Pick<Setting, "arity">> {
  readonly section: string;
  readonly key: string;
  readonly called: SettingNames;
}

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

/** A configuration and where each of its values comes from. */
export interface Resolved<T extends SettingsTable> {
  readonly config: ConfigOf<T>;
  /** By {@link nameOf}: `--flag`, the variable, `file:line`, or `default`. */
  readonly origins: ReadonlyMap<string, string>;
}

/** What a setting is called in messages and lists. */
export function nameOf({ called, key }: NamedSetting): string {
  return called.toml ?? called.flag ?? key;
}

/** Every setting of `table`. Variables begin with `envPrefix`. */
export function namedSettings(table: SettingsTable, envPrefix = "AGENTANYCAST"): NamedSetting[] {
  return Object.entries(table).flatMap(([section, settings]) =>
    Object.entries(settings).map(([key, setting]) => ({
      ...{ ...setting, section, key },
      called: namesOf(setting, { section, key, envPrefix }),
    }))
  );
}

/**
 * The configuration that `sources` add up to: flags before environment before file before defaults, frozen.
 * @throws CodedError `invalid_argument` that lists every problem found, each with where it comes from.
 */
export function resolveSettings<T extends SettingsTable>(
  table: T,
  sources: ConfigSources,
  options: { envPrefix?: string } = {},
): Resolved<T> {
  const resolution = new Resolution(namedSettings(table, options.envPrefix), sources);
  const { userHome } = sources;
  const home = resolution.value(resolution.setting("home"), { home: "", userHome }) as string;
  const configPath = resolution.value(resolution.setting("configPath"), { home, userHome }) as string;
  resolution.readFile(configPath);
  const config: Record<string, unknown> = {};
  for (const section of Object.keys(table)) if (section !== "") config[section] = {};
  for (const setting of resolution.settings) {
    const values = setting.section === "" ? config : config[setting.section] as Record<string, unknown>;
    values[setting.key] = resolution.value(setting, { home, userHome });
  }
  resolution.throwProblems();
  for (const setting of resolution.settings.filter(({ enables }) => enables)) {
    if (resolution.enables(setting)) (config[setting.section] as Record<string, unknown>).enabled = true;
  }
  for (const section of Object.keys(table)) if (section !== "") Object.freeze(config[section]);
  return { config: Object.freeze(config) as ConfigOf<T>, origins: resolution.origins };
}

/** The reading of one configuration. */
class Resolution {
  readonly origins = new Map<string, string>();
  readonly #problems = new Set<string>();
  #file: ConfigFile = { path: "", text: "", values: {} };

  constructor(readonly settings: readonly NamedSetting[], readonly sources: ConfigSources) {}

  /** One of those outside of sections. */
  setting(key: string): NamedSetting {
    return this.settings.find((one) => one.section === "" && one.key === key) as NamedSetting;
  }

  readFile(path: string): void {
    this.#file = { path, text: "", values: {} };
    try {
      const text = this.sources.readFile(path);
      const asked = this.#given(this.setting("configPath"));
      if (text !== undefined) this.#file = { path, text, values: this.#flatten(parseToml(text)) };
      else if (asked !== undefined) this.#problems.add(`${path}: the file does not exist`);
    } catch (error) {
      const where = error instanceof TomlError ? `${path}:${error.line}:${error.column}` : path;
      this.#problems.add(`${where}: ${errorMessage(error).split("\n")[0]}`);
    }
    const known = this.settings.flatMap(({ called }) => called.toml ?? []);
    for (const key of Object.keys(this.#file.values)) {
      if (known.includes(key)) continue;
      const meant = nearest(key, known);
      this.#problems.add(
        `${this.#place(key)}: unknown key "${key}"${meant === undefined ? "" : `: did you mean "${meant}"?`}`,
      );
    }
  }

  value(setting: NamedSetting, paths: DefaultPaths): unknown {
    const given = this.#given(setting);
    const name = nameOf(setting);
    if (given !== undefined) {
      this.origins.set(name, given.place);
      try {
        return setting.parse(given.raw, this.sources.userHome);
      } catch (error) {
        const got = setting.secret ? "" : `, got ${shown(given.raw)}`;
        const inTable = error instanceof TableError && given.name !== "";
        const place = inTable ? this.#placeIn(name, error.path) : given.place;
        this.#problems.add(`${place}: ${given.name}${errorMessage(error)}${got}`);
      }
    } else this.origins.set(name, "default");
    return defaultOf(setting, paths);
  }

  /** Whether a setting that was given switches its section on. */
  enables(setting: NamedSetting): boolean {
    const origin = this.origins.get(nameOf(setting)) ?? "default";
    const enabled = `${setting.section}.enabled`;
    if (origin === "default" || this.origins.get(enabled) !== "default") return false;
    this.origins.set(enabled, origin);
    return true;
  }

  throwProblems(): void {
    if (this.#problems.size === 0) return;
    throw new CodedError(
      "invalid_argument",
      `The configuration cannot be used:\n  - ${[...this.#problems].join("\n  - ")}`,
    );
  }

  #given({ called }: NamedSetting): { raw: unknown; place: string; name: string } | undefined {
    const { flags, env } = this.sources;
    const flag = called.flag === null ? undefined : flags[called.flag];
    if (flag !== undefined) return { raw: flag, place: `--${called.flag}`, name: "" };
    const variable = called.env === null ? undefined : env[called.env];
    if (variable !== undefined && variable !== "") return { raw: variable, place: `${called.env}`, name: "" };
    const key = called.toml;
    const raw = key === null ? undefined : this.#file.values[key];
    return raw === undefined ? undefined : { raw, place: this.#place(`${key}`), name: `${key}: ` };
  }

  /** The file with the line in which a key stands. */
  #place(key: string): string {
    const line = lineOf(this.#file.text, key);
    return line === undefined ? this.#file.path : `${this.#file.path}:${line}`;
  }

  /** The same of a part of a table, or of what it is a part of when it is written in a way that is not looked for. */
  #placeIn(key: string, path: TableError["path"]): string {
    const keys = path.filter((step) => typeof step === "string");
    const index = path.find((step) => typeof step === "number");
    const names = [keys.length, keys.length - 1, 0].map((n) => [key, ...keys.slice(0, n)].join("."));
    const found = names.find((name) => lineOf(this.#file.text, name, index) !== undefined) ?? key;
    const line = lineOf(this.#file.text, found, index);
    return line === undefined ? this.#place(key) : `${this.#file.path}:${line}`;
  }

  /** The keys of a section behind its name: `keep` of `[tasks]` is `tasks.keep`. What a setting takes whole stays whole. */
  #flatten(table: Readonly<Record<string, unknown>>, prefix = ""): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(table).flatMap(([key, value]) => {
        const name = `${prefix}${key}`;
        const isWhole = this.settings.some(({ called }) => called.toml === name);
        const isSection = typeof value === "object" && value !== null && !Array.isArray(value) &&
          !(value instanceof Date);
        return isSection && !isWhole
          ? Object.entries(this.#flatten(value as Record<string, unknown>, `${name}.`))
          : [[name, value]];
      }),
    );
  }
}

interface ConfigFile {
  readonly path: string;
  readonly text: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * The line, from 1, of `section.key` in a TOML text; undefined when it is written in a way that is not looked for.
 * @param nth which of several `[[section]]`, from 0. Default: any.
 */
export function lineOf(text: string, name: string, nth?: number): number | undefined {
  const seen = new Map<string, number>();
  let section = "";
  let isOther = false;
  for (const [index, line] of text.split("\n").entries()) {
    const [, brackets, header] = /^\s*(\[\[?)\s*([^\]\s]+)\s*\]/.exec(line) ?? [];
    if (header !== undefined) {
      const before = seen.get(header) ?? 0;
      seen.set(header, before + 1);
      section = `${header}.`;
      isOther = brackets === "[[" && nth !== undefined && before !== nth;
      if (header === name && !isOther) return index + 1;
      continue;
    }
    const key = /^\s*([A-Za-z0-9_.-]+)\s*=/.exec(line)?.[1];
    if (key !== undefined && !isOther && `${section}${key}` === name) return index + 1;
  }
  return undefined;
}

/** A value in a message, without filling the screen. */
function shown(raw: unknown): string {
  const text = JSON.stringify(raw) ?? String(raw);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
