import { stringify } from "smol-toml";
import type { NamedSetting } from "./resolve_settings.ts";
import { defaultOf, type DefaultPaths } from "./setting.ts";

/** A configuration file with every setting, its default and what it is for; all commented out. */
export function toAnnotatedToml(settings: readonly NamedSetting[], paths: DefaultPaths): string {
  const sections = [...new Set(settings.map(({ section }) => section))];
  const texts = sections.map((section) => {
    const entries = settings.filter((one) => one.section === section && one.called.toml !== null);
    const header = section === "" ? [] : [`[${section}]`];
    return [...header, ...entries.map((one) => annotated(one, paths))].join("\n\n");
  });
  return `# Configuration of agentanycast. A line that begins with #key is the default: remove the # to change it.
# Flags win over environment variables, and those over this file.

${texts.filter(Boolean).join("\n\n")}
`;
}

/** The JSON Schema (2020-12) of the configuration file, for editors. */
export function toJsonSchema(
  settings: readonly NamedSetting[],
  paths: DefaultPaths,
): Record<string, unknown> {
  const root: SchemaObject = { type: "object", additionalProperties: false, properties: {} };
  for (const setting of settings) {
    if (setting.called.toml === null) continue;
    const names = setting.called.toml.split(".");
    const key = names.pop() as string;
    let object = root;
    for (const name of names) {
      object = (object.properties[name] ??= {
        ...{ type: "object", additionalProperties: false, properties: {} },
      }) as SchemaObject;
    }
    const byDefault = shownValue(setting, defaultOf(setting, paths));
    object.properties[key] = {
      ...setting.schema,
      description: setting.help,
      ...(byDefault !== undefined && { default: byDefault }),
    };
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of agentanycast",
    ...root,
  };
}

interface SchemaObject {
  readonly type: "object";
  readonly additionalProperties: false;
  readonly properties: Record<string, unknown>;
}

/** A value as a file would have it; a secret is not shown. */
export function shownValue({ show, secret }: NamedSetting, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (secret) return "(hidden)";
  return show === undefined ? value : show(value);
}

function annotated(setting: NamedSetting, paths: DefaultPaths): string {
  const { called, help } = setting;
  const key = (called.toml as string).split(".").at(-1) as string;
  const others = [called.flag === null ? undefined : `--${called.flag}`, called.env].filter(Boolean).join(
    ", ",
  );
  const value = defaultOf(setting, paths);
  const line = value === undefined || setting.secret || setting.arity === "table"
    ? `#${key} =`
    : `#${stringify({ [key]: shownValue(setting, value) }).trimEnd()}`;
  return `# ${help}${others === "" ? "" : `\n# ${others}`}\n${line}`;
}
