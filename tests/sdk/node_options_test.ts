import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findDaemon } from "../../sdk/daemon_binary.ts";
import { resolveNodeOptions } from "../../sdk/node_options.ts";

/** Runs `work` with these variables in the environment of this process. */
function withEnv(env: Record<string, string>, work: () => void): void {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  try {
    work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

Deno.test("resolveNodeOptions() takes home, level and program from the environment, unless they are given", () => {
  const env = {
    AGENTANYCAST_HOME: "/homes/one",
    AGENTANYCAST_LOG_LEVEL: "warn",
    AGENTANYCAST_DOWNLOAD: "0",
    AGENTANYCAST_BINARY: "",
    AGENTANYCAST_DAEMON_PATH: process.execPath,
  };
  withEnv(env, () => {
    const { home, keyPath, logLevel, download } = resolveNodeOptions({});
    assert.deepEqual([home, keyPath, logLevel, download], ["/homes/one", "/homes/one/key", "warn", false]);
    assert.equal(findDaemon({ home })?.program, process.execPath);
    const given = resolveNodeOptions({ home: "~/two", logLevel: "error", download: true });
    assert.deepEqual([given.home, given.logLevel, given.download], [join(homedir(), "two"), "error", true]);
  });
  withEnv({ AGENTANYCAST_HOME: "~/three", AGENTANYCAST_LOG_LEVEL: "" }, () => {
    const { home, logLevel } = resolveNodeOptions({});
    assert.deepEqual([home, logLevel], [join(homedir(), "three"), "info"]);
  });
});

Deno.test("resolveNodeOptions() takes a relay or several, beside bootstrap peers", () => {
  const peersOf = (relay: string | string[]) =>
    resolveNodeOptions({ relay, bootstrapPeers: ["/b"] }).bootstrapPeers;
  assert.deepEqual(peersOf("/a"), ["/a", "/b"]);
  assert.deepEqual(peersOf(["/a", "/c"]), ["/a", "/c", "/b"]);
});

Deno.test("resolveNodeOptions() throws RangeError for times and numbers that make no sense", () => {
  for (const options of [{ startTimeoutMs: 0 }, { reconnectMs: -1 }, { graceMs: -1 }, { maxClaims: NaN }]) {
    assert.throws(() => resolveNodeOptions(options), RangeError);
  }
});
