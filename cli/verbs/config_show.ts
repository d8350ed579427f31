import { DAEMON_SETTINGS } from "../../core/config.ts";
import { shownValue } from "../../core/config_file.ts";
import { type NamedSetting, namedSettings, nameOf } from "../../core/resolve_settings.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns } from "../output.ts";
import { resolveOptions } from "../settings.ts";
import type { VerbContext } from "../verb.ts";

/** Prints each setting with its value and where that comes from. */
export function run({ options, output }: VerbContext<{ changed?: boolean }>): Promise<number> {
  const { config, origins } = resolveOptions(options);
  const rows = namedSettings(DAEMON_SETTINGS).flatMap((setting) => {
    const name = nameOf(setting);
    const origin = origins.get(name) ?? "default";
    if (options.changed && origin === "default") return [];
    return [{ name, value: shownValue(setting, valueOf(config, setting)) ?? null, origin }];
  });
  output.result(
    Object.fromEntries(rows.map(({ name, value, origin }) => [name, { value, origin }])),
    () => toColumns(rows.map(({ name, value, origin }) => [name, shortJson(value), origin])),
  );
  return Promise.resolve(EXIT_OK);
}

function valueOf(config: Readonly<Record<string, unknown>>, { section, key }: NamedSetting): unknown {
  return section === "" ? config[key] : (config[section] as Readonly<Record<string, unknown>>)[key];
}

/** A value in one line of a table. */
function shortJson(value: unknown): string {
  if (value === null) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}
