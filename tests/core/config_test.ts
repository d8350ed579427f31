import assert from "node:assert/strict";
import { type ConfigSources, parseDuration, resolveConfig } from "../../core/config.ts";
import { SETTINGS } from "../../core/settings.ts";

function resolveWith(sources: Partial<ConfigSources> & { file?: string } = {}) {
  const { file, ...rest } = sources;
  return resolveConfig({ flags: {}, env: {}, userHome: "/home/me", readFile: () => file, ...rest });
}

Deno.test("resolveConfig() puts everything below the home by default", () => {
  const config = resolveWith({ flags: { home: "/srv/agent" } });
  assert.deepEqual(
    [config.keyPath, config.storePath, config.grpcListen, config.configPath],
    ["/srv/agent/key", "/srv/agent/data", "unix:///srv/agent/daemon.sock", "/srv/agent/config.toml"],
  );
  assert.equal(resolveWith().home, "/home/me/.agentanycast");
  assert.ok(Object.isFrozen(config));
});

Deno.test("resolveConfig() lets a flag win over the environment and that over the file", () => {
  const file =
    'log_level = "error"\nkey_path = "~/k"\nenable_mdns = false\nlisten_addrs = ["/ip4/127.0.0.1/tcp/1"]';
  const env = { AGENTANYCAST_LOG_LEVEL: "warn", AGENTANYCAST_STORE_PATH: "/env/data" };
  const config = resolveWith({ file, env, flags: { "log-level": "debug" } });
  assert.deepEqual(
    [config.logLevel, config.storePath, config.keyPath, config.enableMdns, config.listenAddrs],
    ["debug", "/env/data", "/home/me/k", false, ["/ip4/127.0.0.1/tcp/1"]],
  );
  assert.equal(resolveWith({ file, env }).logLevel, "warn");
  assert.equal(resolveWith({ file }).logLevel, "error");
});

Deno.test("resolveConfig() splits lists at commas and joins repeated flags", () => {
  const config = resolveWith({ flags: { "bootstrap-peers": ["/a/b, /c/d", "/e/f"] } });
  assert.deepEqual(config.bootstrapPeers, ["/a/b", "/c/d", "/e/f"]);
});

Deno.test("resolveConfig() reports every problem at once, each with its place", () => {
  const file = 'log_level = "loud"\ncolour = "red"\noffline_queue_ttl = "soon"';
  const env = { AGENTANYCAST_ENABLE_MDNS: "maybe" };
  assert.throws(() => resolveWith({ file, env }), (error: Error & { code: string }) => {
    assert.equal(error.code, "invalid_argument");
    for (
      const part of [
        "log_level: must be one of",
        'unknown key "colour"',
        "offline_queue_ttl",
        "AGENTANYCAST_ENABLE_MDNS",
      ]
    ) {
      assert.ok(error.message.includes(part), `${part} in ${error.message}`);
    }
    return true;
  });
});

Deno.test("resolveConfig() names line and column of a syntax error", () => {
  assert.throws(() => resolveWith({ file: 'log_level = "info"\nkey_path = ' }), /config\.toml:2:\d+/);
});

Deno.test("resolveConfig() refuses a configuration file that was asked for and is not there", () => {
  assert.throws(
    () => resolveWith({ flags: { config: "/nowhere.toml" } }),
    /\/nowhere\.toml: the file does not exist/,
  );
});

Deno.test("parseDuration() reads durations of the existing configuration files", () => {
  assert.deepEqual(["24h", "1h30m", "500ms", "1.5s", "0"].map(parseDuration), [
    86_400_000,
    5_400_000,
    500,
    1500,
    0,
  ]);
  assert.equal(parseDuration("30d"), 30 * 24 * 3_600_000);
  for (const bad of ["", "5", "h", "-1s", "1w"]) assert.throws(() => parseDuration(bad), SyntaxError);
});

Deno.test("SETTINGS name each flag, variable and file key once", () => {
  for (const name of ["flag", "env", "toml"] as const) {
    const names = SETTINGS.flatMap((setting) => setting[name] ?? []);
    assert.equal(new Set(names).size, names.length);
  }
});
