import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { VERBS } from "../../cli/verbs.ts";
import { toProgramName } from "../../cli/mod.ts";
import { toConfig } from "../../cli/settings.ts";
import { VERSION } from "../../core/version.ts";
import { tempDir } from "../support/temp_dir.ts";
import { runInProcess } from "./cli_harness.ts";

for (const verb of VERBS) {
  Deno.test(`${verb.path}() explains itself with examples when asked for help`, async () => {
    const { code, stdout, stderr } = await runInProcess([...verb.path.split(" "), "--help"]);
    equal(code, 0);
    equal(stderr, "");
    ok(stdout.startsWith(`Usage: agentanycast ${verb.path}`), stdout);
    match(stdout, /Examples:\n {2}agentanycast /);
    match(stdout, /--home <value>/);
    equal(stdout.includes("--json"), verb.json ?? false);
    equal((await runInProcess(["help", ...verb.path.split(" ")])).stdout, stdout);
  });

  Deno.test(`${verb.path}() is refused with usage when an option is unknown`, async () => {
    const { code, stdout, stderr } = await runInProcess([...verb.path.split(" "), "--no-such-option"]);
    equal(code, 2);
    equal(stdout, "");
    match(stderr, /^agentanycast: (unknown option|missing required argument)/);
    match(stderr, new RegExp(`See \`agentanycast ${verb.path} --help\``));
  });

  Deno.test(`${verb.path}() has a file with its run function`, async () => {
    equal(typeof (await verb.load()).run, "function");
  });
}

Deno.test("runCli() lists every verb and the exit codes when asked for help", async () => {
  const { code, stdout } = await runInProcess(["--help"]);
  equal(code, 0);
  for (const { path } of VERBS) match(stdout, new RegExp(`^  ${path.split(" ")[0]}\\b`, "m"));
  match(stdout, /130 {2}interrupted/);
});

Deno.test("daemon() tells the defaults of its options when asked for help, and no path of this machine", async () => {
  const { stdout } = await runInProcess(["daemon", "--help"]);
  match(stdout, /--tasks-keep <value> .*\(default: 30d\)\n/);
  match(stdout, /--enable-mdns \[true\|false\] .*\(default: true\)\n/);
  match(stdout, /--store-path <value> .*\(default: <home>\/data\)\n/);
  match(stdout, /--home <value> .*\(default: ~\/\.agentanycast, of a relay ~\/\.agentanycast\/relay\)\n/);
  match(stdout, /--network-proxy <value> [^(]*\n/);
});

Deno.test("runCli() suggests the nearest name when a verb or flag is unknown", async () => {
  const verb = await runInProcess(["stauts"]);
  equal(verb.code, 2);
  match(verb.stderr, /unknown command 'stauts'\n\(Did you mean status\?\)/);
  const flag = await runInProcess(["send", "--metadat", "a=b", "x", "y"]);
  equal(flag.code, 2);
  match(flag.stderr, /Did you mean --metadata\?/);
  const global = await runInProcess(["peers", "--hom", "/tmp"]);
  match(global.stderr, /Did you mean --home\?/);
});

Deno.test("runCli() answers usage when no verb is given", async () => {
  for (const argv of [[], ["task"]]) {
    const { code, stdout, stderr } = await runInProcess(argv);
    equal(code, 2);
    equal(stdout, "");
    match(stderr, /^Usage: agentanycast/);
  }
});

Deno.test("runCli() tells misuse as JSON on stderr when --json is given", async () => {
  const { code, stdout, stderr } = await runInProcess(["send", "only-one", "--json"]);
  equal(code, 2);
  equal(stdout, "");
  deepEqual(JSON.parse(stderr), {
    error: {
      code: "invalid_argument",
      message:
        "Name a target and a message, or --url or --skill and a message: see `agentanycast send --help`",
    },
  });
});

const MISUSES: readonly (readonly string[])[] = [
  ["send", "a"],
  ["send", "a", "b", "c"],
  ["send", "--skill", "s"],
  ["send", "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "b", "--skill", "s", "-t", "k=v"],
  ["discover", "s", "--limit", "1e9"],
  ["send", "a", "b", "--timeout", "0"],
  ["send", "a", "b", "--timeout", "1e9"],
  ["send", "a", "b", "--metadata", "novalue"],
  ["send", "not-a-peer", "b"],
  ["send", "/ip4/127.0.0.1/tcp/1", "b"],
  ["connect", "did:key:zNothing"],
  ["task", "list", "--status", "asleep"],
  ["task", "list", "--direction", "up"],
  ["task", "list", "--limit", "-1"],
  ["logs", "-n", "many"],
  ["completion", "tcsh"],
  ["help", "nothing"],
  ["status", "--config", "/nowhere/config.toml"],
];
for (const argv of MISUSES) {
  Deno.test(`runCli() exits with 2 when called as ${argv.join(" ")}`, async () => {
    await using home = await tempDir();
    const { code, stdout, stderr } = await runInProcess([...argv, "--home", home.path]);
    equal(code, 2);
    equal(stdout, "");
    match(stderr, /^agentanycast: /);
  });
}

Deno.test("runCli() prints the version under the name it was called by", async () => {
  equal((await runInProcess(["version"])).stdout, `agentanycast ${VERSION}\n`);
  equal((await runInProcess(["--version"])).stdout, `agentanycast ${VERSION}\n`);
  deepEqual(JSON.parse((await runInProcess(["version", "--json"])).stdout), {
    name: "agentanycast",
    version: VERSION,
  });
  for (const flag of ["--version", "-version"]) {
    const { code, stdout } = await runInProcess([flag], { name: "agentanycastd" });
    equal(code, 0);
    equal(stdout, `agentanycastd ${VERSION}\n`);
  }
});

const UNAVAILABLE = [
  ["--nats-broker=nats://localhost"],
];
for (const flags of UNAVAILABLE) {
  Deno.test(`daemon() says that ${flags.join(" ")} is not available and starts nothing`, async () => {
    await using home = await tempDir();
    for (const name of ["agentanycast", "agentanycastd"] as const) {
      const argv = [...flags, `--home=${home.path}`];
      const { code, stderr } = await runInProcess(name === "agentanycast" ? ["daemon", ...argv] : argv, {
        name,
      });
      equal(code, 2);
      match(stderr, /^agentanycast: --[a-z-]+ is not available in version/);
    }
    equal((await Array.fromAsync(Deno.readDir(home.path))).length, 0);
    const help = (await runInProcess(["daemon", "--help"])).stdout;
    equal(help.includes(`--${flags[0]!.replace(/^-+|=.*$/g, "")}`), false);
  });
}

Deno.test("status() and stop() say so when no daemon runs, and make nothing", async () => {
  await using home = await tempDir();
  const status = await runInProcess(["status", "--home", home.path]);
  equal(status.code, 3);
  match(status.stdout, /^No daemon runs on .*Start one: agentanycast daemon --home/);
  const json = await runInProcess(["status", "--json", "--home", home.path]);
  equal(json.code, 3);
  deepEqual(JSON.parse(json.stdout), { running: false, home: home.path });
  const stop = await runInProcess(["stop", "--home", home.path]);
  equal(stop.code, 0);
  match(stop.stdout, /^No daemon runs on/);
  const peers = await runInProcess(["peers", "--home", home.path]);
  equal(peers.code, 3);
  match(peers.stderr, /start one with `agentanycast daemon --home/);
  equal((await Array.fromAsync(Deno.readDir(home.path))).length, 0);
});

Deno.test("info() makes no key and reads the one that is there", async () => {
  await using home = await tempDir();
  const before = JSON.parse((await runInProcess(["info", "--json", "--home", home.path])).stdout);
  equal(before.keyExists, false);
  equal(before.peerId, undefined);
  equal(before.daemonRunning, false);
  await Deno.writeFile(`${home.path}/key`, new Uint8Array(32).fill(7), { mode: 0o600 });
  const after = JSON.parse((await runInProcess(["info", "--json", "--home", home.path])).stdout);
  match(after.peerId, /^12D3KooW/);
  match(after.did, /^did:key:z6Mk/);
  await Deno.chmod(`${home.path}/key`, 0o644);
  const loose = await runInProcess(["info", "--home", home.path]);
  equal(loose.code, 0);
  match(loose.stdout, /Key problem: .*chmod 600/);
});

Deno.test("toConfig() takes the folder of the socket for the home only when told to and nothing else names it", () => {
  const grpcListen = "unix:///run/agent/daemon.sock";
  const homeOf = (options: Record<string, string>, homeOfSocket = true) =>
    toConfig(options, { homeOfSocket }).home;
  equal(homeOf({ grpcListen, home: "/named" }), "/named");
  const usual = toConfig({}).home;
  equal(homeOf({ grpcListen }, false), usual);
  equal(homeOf({}), usual);
  equal(homeOf({ grpcListen: "tcp://127.0.0.1:1" }), usual);
});

Deno.test("logs() says that there is no log when there is none", async () => {
  await using home = await tempDir();
  const { code, stderr } = await runInProcess(["logs", "--home", home.path]);
  equal(code, 5);
  match(stderr, /No log at .*agentanycast\.log/);
});

Deno.test("logs() prints lines as they can be looked at, and with --json each as it is in an object", async () => {
  await using home = await tempDir();
  await Deno.mkdir(`${home.path}/logs`);
  const lines = ["first", 'quoted "x" {"a":1}', "bell\u0007 ünï\u202e"];
  await Deno.writeTextFile(`${home.path}/logs/agentanycast.log`, lines.map((line) => `${line}\n`).join(""));
  const text = await runInProcess(["logs", "-n", "2", "--home", home.path]);
  deepEqual(text, { code: 0, stdout: `${lines[1]}\nbell\\x07 ünï\\u202e\n`, stderr: "" });
  const json = await runInProcess(["logs", "--json", "--home", home.path]);
  deepEqual([json.code, json.stderr], [0, ""]);
  const printed = json.stdout.split("\n");
  equal(printed.pop(), "");
  deepEqual(printed.map((line) => JSON.parse(line)), lines.map((line) => ({ line })));
  const { stdout: help } = await runInProcess(["logs", "--help"]);
  match(help, /--json/);
  match(help, /\{"line": "\.\.\."\}/);
});

Deno.test("logs() tells with --json that there is no log", async () => {
  await using home = await tempDir();
  const { code, stdout, stderr } = await runInProcess(["logs", "--json", "--home", home.path]);
  deepEqual([code, stdout, JSON.parse(stderr).error.code], [5, "", "not_found"]);
});

Deno.test("toProgramName() tells the daemon's name from the program's", () => {
  const daemons = [
    "agentanycastd",
    "/usr/bin/agentanycastd",
    "C:\\bin\\agentanycastd.exe",
    "./agentanycastd-linux-amd64",
  ];
  for (const path of daemons) equal(toProgramName(path), "agentanycastd", path);
  for (const path of ["agentanycast", "/tmp/deno", "", "/agentanycastd/agentanycast", "xagentanycastd"]) {
    notEqual(toProgramName(path), "agentanycastd", path);
  }
});
