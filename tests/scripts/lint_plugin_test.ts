import assert from "node:assert/strict";
import plugin from "../../scripts/lint_plugin.ts";

/** Rules, without their prefix, that find something in `source` at `path`. */
function faults(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map(({ id }) => id.replace("agentanycast/", ""));
}

function assertCaught(rule: string, cases: Record<string, string[]>): void {
  for (const [path, sources] of Object.entries(cases)) {
    for (const source of sources) assert.deepEqual(faults(path, source), [rule], `${path}: ${source}`);
  }
}

function assertClean(cases: Record<string, string[]>): void {
  for (const [path, sources] of Object.entries(cases)) {
    for (const source of sources) assert.deepEqual(faults(path, source), [], `${path}: ${source}`);
  }
}

Deno.test("boundaries() reports each arrow that is not allowed", () => {
  assertCaught("boundaries", {
    "main.ts": ['import "./daemon/mod.ts";', 'import "./core/errors.ts";'],
    "cli/send.ts": ['import "../gen/x.ts";', 'import "../p2p/mod.ts";'],
    "relay/relay.ts": ['import "../daemon/mod.ts";', 'import "../a2a/mod.ts";'],
    "sdk/node.ts": ['import "../daemon/mod.ts";', 'await import("../p2p/mod.ts");'],
    "a2a/engine.ts": ['import "../kv/mod.ts";', 'export * from "../identity/mod.ts";'],
    "p2p/host.ts": ['import type { A } from "../gen/x.ts";', 'type A = import("../a2a/mod.ts").A;'],
    "core/log.ts": ['import "../identity/mod.ts";'],
    "kv/keys.ts": [
      'export { a } from "../p2p/mod.ts";',
      'import m from "../deno.json" with { type: "json" };',
    ],
    "identity/did.ts": ['import "../tests/support/temp_dir.ts";'],
  });
});

Deno.test("boundaries() lets one lazily loaded file of the SDK reach the daemon", () => {
  assertClean({
    "sdk/embedded.ts": ['import "../daemon/mod.ts";'],
    "sdk/running_node.ts": ['await import("./embedded.ts");', 'import type { A } from "./embedded.ts";'],
  });
  assertCaught("boundaries", {
    "sdk/embedded.ts": ['import "../daemon/daemon.ts";', 'import "../p2p/mod.ts";'],
    "sdk/running_node.ts": ['import { a } from "./embedded.ts";', 'export * from "./embedded.ts";'],
  });
});

Deno.test("boundaries() reports a room entered beside its mod.ts", () => {
  assertCaught("boundaries", {
    "daemon/daemon.ts": ['import "../a2a/engine.ts";'],
    "daemon/grpc/server.ts": ['import "../../kv/keys.ts";'],
    "scripts/demo.ts": ['import "../daemon/grpc/server.ts";'],
    "bench/roundtrip.ts": ['import "../sdk/node.ts";'],
    "examples/test.ts": ['import "../sdk/testing/fake_clock.ts";'],
  });
});

Deno.test("boundaries() keeps the wires of the daemon apart and gen in its folders", () => {
  assertCaught("boundaries", {
    "daemon/grpc/server.ts": ['import "../bridge/server.ts";'],
    "daemon/mcp/tools.ts": ['import "../peer/frames.ts";'],
    "daemon/daemon.ts": ['import "../gen/x.ts";'],
    "daemon/anp/server.ts": ['import "../../gen/x.ts";'],
  });
  assertClean({
    "daemon/daemon.ts": ['import "./grpc/server.ts";', 'import "./peer/frames.ts";'],
    "daemon/grpc/server.ts": [
      'import "../convert/task.ts";',
      'import "./handlers.ts";',
      'import "../../gen/x.ts";',
    ],
    "daemon/store/tasks.ts": ['import "../../gen/x.ts";'],
  });
});

Deno.test("boundaries() passes the arrows that are allowed", () => {
  assertClean({
    "main.ts": ['import "./cli/mod.ts";'],
    "cli/send.ts": [
      'import "../sdk/mod.ts";',
      'await import("../daemon/mod.ts");',
      'import "../core/log.ts";',
    ],
    "relay/relay.ts": ['import "../p2p/mod.ts";', 'import "../gen/x.ts";', 'import "../rpc/server.ts";'],
    "sdk/node.ts": [
      'import "../gen/x.ts";',
      'import "../identity/mod.ts";',
      'import "../rpc/rpc_client.ts";',
    ],
    "a2a/engine.ts": ['import "./model.ts";', 'import "../core/errors.ts";'],
    "core/version.ts": ['import m from "../deno.json" with { type: "json" };'],
    "tests/kv/keys_test.ts": ['import "../../kv/keys.ts";', 'import "../support/temp_dir.ts";'],
    "bench/roundtrip.ts": ['import "../sdk/mod.ts";', 'import "../tests/support/temp_dir.ts";'],
    "scripts/demo.ts": ['import "../main.ts";', 'import "../core/log.ts";'],
  });
});

Deno.test("one-library-one-room() reports a library outside its room", () => {
  assertCaught("one-library-one-room", {
    "daemon/daemon.ts": ['import "libp2p";', 'import "@libp2p/tcp";', 'import "npm:@libp2p/tcp@11.0.28";'],
    "identity/keys.ts": ['import "@multiformats/multiaddr";', 'await import("multicast-dns");'],
    "daemon/bridge/server.ts": ['import "@grpc/grpc-js";', 'import type { A } from "@grpc/grpc-js";'],
    "daemon/options.ts": ['import "commander";', 'import "smol-toml";', 'await Deno.openKv("x");'],
    "relay/registry.ts": ['import "multiformats/cid";'],
  });
});

Deno.test("one-library-one-room() passes a library in its room and in tests", () => {
  assertClean({
    "p2p/host.ts": ['import "libp2p";', 'import "@libp2p/tcp";', 'import "multiformats/cid";'],
    "identity/did.ts": ['import "multiformats/bases/base58";'],
    "rpc/server.ts": ['import "@grpc/grpc-js";'],
    "cli/cli.ts": ['import "commander";'],
    "core/config.ts": ['import "smol-toml";'],
    "kv/deno_kv_store.ts": ['await Deno.openKv("x");'],
    "tests/e2e/host_test.ts": ['import "libp2p";', 'await Deno.openKv("x");'],
  });
});

Deno.test("file-size() reports a file of 501 lines and passes one of 500", () => {
  assertCaught("file-size", { "a2a/engine.ts": ["a();\n".repeat(501)] });
  assertClean({ "a2a/engine.ts": ["a();\n".repeat(500)] });
});

Deno.test("function-size() reports a function of 61 lines and passes one of 60", () => {
  const body = (lines: number) => `{\n${"  a();\n".repeat(lines - 2)}}`;
  for (const head of ["function f() ", "export const f = () => ", "const o = { f: async function () "]) {
    const tail = head.includes("{") ? "};" : ";";
    assertCaught("function-size", { "a2a/engine.ts": [`${head}${body(61)}${tail}`] });
    assertClean({ "a2a/engine.ts": [`${head}${body(60)}${tail}`] });
  }
  assertCaught("function-size", { "a2a/engine.ts": [`class A { m() ${body(61)} }`] });
});

Deno.test("no-default-export() reports both ways to write one", () => {
  assertCaught("no-default-export", {
    "a2a/engine.ts": [
      "export default 1;",
      "export default function () {}",
      "const a = 1;\nexport { a as default };",
    ],
  });
  assertClean({ "a2a/engine.ts": ["export const a = 1;"], "scripts/lint_plugin.ts": ["export default {};"] });
});

Deno.test("no-enum() and no-non-null() report what hides a type", () => {
  assertCaught("no-enum", { "a2a/model.ts": ["enum A { B }", "export const enum A { B }"] });
  assertCaught("no-non-null", { "a2a/model.ts": ["const a = b!;"] });
  assertClean({
    "a2a/model.ts": ['type A = "b";', "const a = !b;", "let a!: number;"],
    "tests/a2a/model_test.ts": ["const a = b!;"],
  });
});

Deno.test("file-names() and no-utils() report a bad name and pass a good one", () => {
  assertCaught("file-names", {
    "a2a/Engine.ts": ["a();"],
    "a2a/task-store.ts": ["a();"],
    "a2a/a.b.ts": ["a();"],
  });
  assertCaught("no-utils", { "core/utils.ts": ["a();"], "sdk/string_helpers.ts": ["a();"] });
  assertClean({ "a2a/mod.ts": ["a();"], "tests/a2a/task_store_test.ts": ["a();"], "p2p/ipv4.ts": ["a();"] });
});

Deno.test("no-sleep-in-tests() reports a wait for time and passes a limit and a yield", () => {
  assertCaught("no-sleep-in-tests", {
    "tests/a2a/engine_test.ts": [
      "await new Promise((resolve) => setTimeout(resolve, 50));",
      'import { setTimeout as sleep } from "node:timers/promises";',
      "await systemClock.sleep(10);",
    ],
  });
  assertClean({
    "tests/a2a/engine_test.ts": [
      "await new Promise((resolve) => setTimeout(resolve, 0));",
      "const timer = setTimeout(() => controller.abort(), 5000);",
    ],
    "a2a/engine.ts": ["await new Promise((resolve) => setTimeout(resolve, 50));"],
    "tests/support/wait_for.ts": ["await new Promise((resolve) => setTimeout(resolve, 50));"],
  });
});

Deno.test("printing() reports output outside cli/output.ts", () => {
  const lines = ['console.log("a");', "await Deno.stdout.write(a);", "a.pipeTo(Deno.stderr.writable);"];
  assertCaught("printing", { "daemon/daemon.ts": lines, "cli/send.ts": ["process.stdout.write(a);"] });
  assertClean({
    "cli/output.ts": lines,
    "scripts/ok.ts": lines,
    "examples/echo.ts": lines,
    "cli/send.ts": ["Deno.stdout.isTerminal();"],
  });
});
