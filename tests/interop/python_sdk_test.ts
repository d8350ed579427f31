// What only the existing network's Python SDK has: its streams, adapters, command line and MCP server, on our daemon.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { DaemonScript } from "../support/daemon_script.ts";
import { McpStdio } from "../support/mcp_stdio.ts";
import { PROGRAM_MS } from "../support/patience.ts";
import { loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestRelay } from "../support/test_relay.ts";
import { type NetOptions, startExistingSdkNet } from "./existing_sdk.ts";
import { findPythonSdk } from "./python_package.ts";

const sdk = await findPythonSdk();
if ("missing" in sdk) console.warn(`Skipping the tests with the existing Python SDK: ${sdk.missing}`);
const python = "missing" in sdk ? "" : sdk.python;

const PROGRAM = join(import.meta.dirname ?? ".", "existing_sdk_program.py");
/** How often a command is tried until what it looks for is there. */
const TRIES = 15;

function pythonTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `the existing Python SDK ${name}`, ignore: "missing" in sdk, fn });
}

function startNet(options: NetOptions = {}) {
  return startExistingSdkNet([python, PROGRAM], options);
}

/** Its command line, with a daemon of its own. */
async function commandLine(
  folder: string,
): Promise<AsyncDisposable & { command: (...args: string[]) => string[] }> {
  await Deno.mkdir(folder);
  const daemon = await DaemonScript.write(folder, "agentanycastd");
  const path = `PATH=${folder}:${Deno.env.get("PATH")}`;
  return {
    command: (...args) => {
      daemon.watch();
      return ["env", path, join(dirname(python), "agentanycast"), ...args];
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

pythonTest("reads an artifact that we stream", async () => {
  await using net = await startNet();
  const { theirs, ours, address } = net;
  const data = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
  ours.onTask(async (task) => {
    await task.sendArtifact({ name: "bytes", data });
    await task.complete("done");
  });
  await theirs.call("start");
  await theirs.call("connectPeer", ours.peerId, [address]);
  const taskId = await theirs.call("sendTask", { peerId: ours.peerId }, [{ text: "stream" }]);
  assert.equal(await theirs.call("stream", taskId), data.toHex());
  assert.equal((await theirs.call("wait", taskId)).status, "completed");
  await theirs.call("stop");
  await net.daemon.untilGone();
});

pythonTest("serves our tasks by an adapter", async () => {
  await using net = await startNet({ adapter: true });
  const { theirs, ours, address } = net;
  const peerId = await theirs.call("start");
  await theirs.call("connectPeer", ours.peerId, [address]);
  const { artifacts } = await (await ours.sendTask("hello", { peerId })).wait({ timeoutMs: PROGRAM_MS });
  assert.deepEqual(artifacts.map(({ name, parts }) => [name, parts]), [["output", [{ text: "HELLO" }]]]);
  await theirs.call("stop");
  await net.daemon.untilGone();
});

pythonTest("finds and asks an agent by its command line", async () => {
  await using dir = await tempDir();
  await using relay = await startTestRelay();
  await using server = await commandLine(join(dir.path, "server"));
  await using client = await commandLine(join(dir.path, "client"));
  const env = { ...loopbackEnv(join(dir.path, "elsewhere")), AGENTANYCAST_ENABLE_MDNS: "false" };
  const of = (name: string) => ["--relay", relay.address, "--home", join(dir.path, name)];
  await using demo = new RunningProgram(server.command("demo", ...of("a")), env);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram(client.command(...args, ...of("b")), { env });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  let found = "";
  for (let at = 0; at < TRIES && !found.includes("PeerID:"); at++) found = await run("discover", "echo");
  const [, peerId = ""] = /PeerID: (12D3KooW\w+)/.exec(found) ?? [];
  assert.match(found, /Found 1 agent\(s\) with skill 'echo':[^]*Name: Echo Agent/);
  assert.match(
    await run("send", "echo", "Hello", "--skill"),
    /Status: completed\n {2}Response: Echo: Hello\n/,
  );
  assert.match(await run("send", peerId, "Hi"), /Status: completed\n {2}Response: Echo: Hi\n/);
  assert.match(await run("discover", "unheard-of"), /No agents found for skill 'unheard-of'\./);
  assert.match(await run("status"), /Peer ID: {4}12D3KooW/);
  await demo.stop("SIGINT");
});

pythonTest("gives an assistant its tools by MCP", async () => {
  await using dir = await tempDir();
  await using cli = await commandLine(join(dir.path, "cli"));
  const command = cli.command("mcp", "--home", join(dir.path, "home"));
  await using mcp = new McpStdio([], join(dir.path, "elsewhere"), command);
  const clientInfo = { name: "test", version: "1" };
  await mcp.request("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo });
  await mcp.notify("notifications/initialized");
  const { result } = await mcp.request("tools/call", { name: "get_node_info", arguments: {} });
  const [{ text = "" } = {}] = result?.content as { text?: string }[];
  assert.match(JSON.parse(text).peer_id, /^12D3KooW/);
  assert.match(JSON.parse(text).did_key, /^did:key:z6Mk/);
});
