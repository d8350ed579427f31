import assert from "node:assert/strict";
import { DAEMON_SETTINGS, resolveConfig } from "../../core/config.ts";
import { type ConfigSources, lineOf, namedSettings, resolveSettings } from "../../core/resolve_settings.ts";
import { parseDuration } from "../../core/setting.ts";

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

Deno.test("resolveConfig() does not repeat a secret that it cannot use", () => {
  const file = '[[bridge.callers]]\nname = "anna"\nbearer = "hush"\n[[bridge.callers]]\nname = "no name"\n';
  assert.throws(() => resolveWith({ file }), (error: Error) => {
    assert.match(error.message, /bridge\.callers/);
    assert.doesNotMatch(error.message, /hush/);
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

Deno.test("DAEMON_SETTINGS name each flag, variable and file key once", () => {
  for (const name of ["flag", "env", "toml"] as const) {
    const names = namedSettings(DAEMON_SETTINGS).flatMap(({ called }) => called[name] ?? []);
    assert.equal(new Set(names).size, names.length);
  }
});

Deno.test("resolveConfig() names the line of an unknown key and the key that was meant", () => {
  const file = '# mine\n[tasks]\nkeep = "5d"\nkeep_cuont = 7';
  assert.throws(
    () => resolveWith({ file }),
    /config\.toml:4: unknown key "tasks\.keep_cuont": did you mean "tasks\.keep_count"\?/,
  );
});

Deno.test("resolveConfig() names the line of the key that is wrong in a table of the policy, or the nearest it finds", () => {
  const problems: [file: string, problem: RegExp][] = [
    [
      "[policy.rate_limit]\nburst = 4\nmax_tasks = 1.5",
      /toml:3: policy\.rate_limit: max_tasks must be a whole/,
    ],
    [
      "[policy.rate_limit]\n\nmax_taks = 1",
      /toml:3: policy\.rate_limit: unknown key "max_taks": did you mean "max_t/,
    ],
    ["[policy]\nencryption = 'off'\nrate_limit = { burst = 0 }", /toml:3: .* burst must be 1 or more/],
    [
      "[[policy.rate_limit.overrides]]\nsource = 'a'\nrps = 1\n[[policy.rate_limit.overrides]]\nsource = 'b'\nrps = -1",
      /toml:6: policy\.rate_limit: override 2: rps must be/,
    ],
    [
      "[[policy.acl]]\nallow = true\n[[policy.acl]]\nskill = 'x'",
      /toml:3: policy\.acl: rule 2: allow must be/,
    ],
    [
      "[[policy.acl]]\nallow = true\n[policy.acl.credential]\nissuer = 'a'\ntype = 5",
      /toml:5: policy\.acl: rule 1: credential: type must be a text/,
    ],
  ];
  for (const [file, problem] of problems) assert.throws(() => resolveWith({ file }), problem, file);
});

Deno.test("resolveSettings() says where each value comes from", () => {
  const { origins, config } = resolveSettings(DAEMON_SETTINGS, {
    flags: { "log-level": "debug" },
    env: { AGENTANYCAST_TASKS_KEEP: "2d" },
    userHome: "/home/me",
    readFile: () => "\n[tasks]\nkeep_count = 5",
  });
  assert.equal(config.tasks.keepCount, 5);
  assert.deepEqual(
    ["log_level", "tasks.keep", "tasks.keep_count", "key_path"].map((key) => origins.get(key)),
    [
      "--log-level",
      "AGENTANYCAST_TASKS_KEEP",
      "/home/me/.agentanycast/config.toml:3",
      "default",
    ],
  );
});

Deno.test("lineOf() finds keys of sections, dotted keys and lists of tables", () => {
  const text = 'a = 1\n[s]\nb = 2\n[[s.rule]]\nfrom = "x"';
  assert.deepEqual(["a", "s.b", "s.rule", "b"].map((name) => lineOf(text, name)), [1, 3, 4, undefined]);
});

Deno.test("resolveConfig() switches a feature on when it is told where to listen, unless it is told not to", () => {
  assert.equal(resolveWith().metrics.enabled, false);
  assert.equal(resolveWith({ flags: { "metrics-listen": ":1" } }).metrics.enabled, true);
  assert.equal(resolveWith({ file: '[metrics]\nlisten = ":1"' }).metrics.enabled, true);
  assert.equal(resolveWith({ file: '[metrics]\nlisten = ":1"\nenabled = false' }).metrics.enabled, false);
});

Deno.test("DAEMON_SETTINGS have every key and variable of the existing daemon's configuration", () => {
  const settings = namedSettings(DAEMON_SETTINGS);
  const keys =
    "key_path listen_addrs grpc_listen bootstrap_peers enable_relay_client enable_hole_punching enable_quic " +
    "enable_webtransport enable_mdns store_path offline_queue_ttl log_level log_format bridge.enabled bridge.listen " +
    "bridge.tls_cert bridge.tls_key bridge.cors_origins anycast.routing_strategy anycast.cache_ttl anycast.auto_register " +
    "anycast.registry_addr anycast.registry_addrs anycast.enable_dht anycast.dht_mode metrics.enabled metrics.listen " +
    "mcp.enabled mcp.listen anp.enabled anp.listen identity.did_web identity.did_dns_domain telemetry.enabled " +
    "telemetry.otlp_endpoint telemetry.sample_rate telemetry.insecure policy.audit_log_path policy.acl policy.rate_limit";
  const variables =
    "KEY_PATH GRPC_LISTEN BOOTSTRAP_PEERS ENABLE_MDNS STORE_PATH LOG_LEVEL REGISTRY_ADDRS MCP_LISTEN ANP_ENABLED " +
    "ANP_LISTEN DID_WEB DID_DNS_DOMAIN TELEMETRY_ENABLED OTLP_ENDPOINT SAMPLE_RATE";
  const named = (kind: "toml" | "env") => settings.map(({ called }) => called[kind]);
  assert.deepEqual(keys.split(" ").filter((key) => !named("toml").includes(key)), []);
  const wanted = variables.split(" ").map((name) => `AGENTANYCAST_${name}`);
  assert.deepEqual(wanted.filter((name) => !named("env").includes(name)), []);
});
