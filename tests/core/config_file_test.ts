import assert from "node:assert/strict";
import { DAEMON_SETTINGS, resolveConfig } from "../../core/config.ts";
import { shownValue, toAnnotatedToml, toJsonSchema } from "../../core/config_file.ts";
import { type NamedSetting, namedSettings } from "../../core/resolve_settings.ts";
import { formatDuration, namesOf, secret } from "../../core/setting.ts";

const PATHS = { home: "/home/me/.agentanycast", userHome: "/home/me" };
const SOURCES = { flags: {}, env: {}, userHome: "/home/me" };

Deno.test("toAnnotatedToml() writes a file that says the defaults once its lines are taken in", () => {
  const text = toAnnotatedToml(namedSettings(DAEMON_SETTINGS), PATHS);
  const takenIn = text.replace(/^#(?=[a-z_]+ = )/gm, "");
  assert.notEqual(takenIn, text);
  const byDefault = resolveConfig({ ...SOURCES, readFile: () => undefined });
  assert.deepEqual(resolveConfig({ ...SOURCES, readFile: () => text }), byDefault);
  assert.deepEqual(resolveConfig({ ...SOURCES, readFile: () => takenIn }), byDefault);
});

Deno.test("toJsonSchema() describes sections and refuses unknown keys", () => {
  const schema = toJsonSchema(namedSettings(DAEMON_SETTINGS), PATHS) as {
    additionalProperties: boolean;
    properties: Record<string, { properties: Record<string, { default: unknown; type: unknown }> }>;
  };
  assert.equal(schema.additionalProperties, false);
  assert.equal(schema.properties.tasks?.properties.keep_count?.default, 100_000);
  assert.equal(schema.properties.tasks?.properties.keep?.default, "30d");
  assert.ok(!("home" in schema.properties));
});

Deno.test("shownValue() does not show a secret", () => {
  const setting = secret("token of the broker");
  const named: NamedSetting = {
    ...{ ...setting, section: "s", key: "token" },
    called: namesOf(setting, { section: "s", key: "token", envPrefix: "X" }),
  };
  assert.equal(shownValue(named, "hunter2"), "(hidden)");
  assert.equal(shownValue(named, undefined), undefined);
});

Deno.test("formatDuration() writes what parseDuration() reads", () => {
  assert.deepEqual([0, 500, 90_000, 86_400_000, 3_661_001].map(formatDuration), [
    "0",
    "500ms",
    "1m30s",
    "1d",
    "1h1m1s1ms",
  ]);
});
