import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findDaemon } from "../../sdk/daemon_binary.ts";
import { DaemonClient } from "../../sdk/daemon_client.ts";
import { Node, type Task } from "../../sdk/mod.ts";
import { resolveNodeOptions } from "../../sdk/node_options.ts";
import { sendArtifact } from "../../sdk/send_artifact.ts";
import { toSendRequest } from "../../sdk/send_request.ts";
import { DaemonTaskHandle } from "../../sdk/task_handle.ts";

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

Deno.test("Options that there are not are refused with the name that was meant", async () => {
  const refused = (message: RegExp) => ({ name: "TypeError", message });
  const misspelt: object[] = [{ onstatus: () => {} }, { startTimeOutMs: 1 }];
  assert.throws(
    () => new Node(misspelt[0]),
    refused(/^A node has no option "onstatus": did you mean "onStatus"\?/),
  );
  assert.throws(() => new Node(misspelt[1]), refused(/did you mean "startTimeoutMs"\?/));
  const node = new Node();
  const wrong: { skill: string } = { skill: "x", ...{ maxConcurency: 1 } };
  assert.throws(
    () => node.onTask(() => {}, wrong),
    refused(/^onTask\(\) has .* "maxConcurency": did .* "maxConcurrent"/),
  );
  const far: { skill: string } = { skill: "x", ...{ elsewhere: 1 } };
  assert.throws(
    () => toSendRequest("hi", far),
    refused(/^sendTask\(\) has no option "elsewhere": it has peerId, /),
  );
  const daemon = new DaemonClient("tcp://127.0.0.1:1");
  const artifact: { data: string } = { data: "x", ...{ mimeType: "text/plain" } };
  const sending = { taskId: "t", signal: new AbortController().signal, reconnectMs: 1 };
  await assert.rejects(
    sendArtifact(daemon, artifact, sending),
    refused(/^An artifact has no option "mimeType": .* mediaType/),
  );
  const handle = new DaemonTaskHandle(daemon, { taskId: "t" } as Task, { reconnectMs: 1 });
  const wait: { signal: AbortSignal } = { signal: sending.signal, ...{ timeout: 1 } };
  await assert.rejects(handle.wait(wait), refused(/^wait\(\) has no option "timeout": /));
  daemon.close();
});
