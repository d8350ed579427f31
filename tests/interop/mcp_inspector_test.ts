import assert from "node:assert/strict";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { loopbackEnv, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";
import { findNpmProgram } from "./npm_program.ts";

const PROGRAM = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", "..", "..", "main.ts")];

const found = await findNpmProgram(
  "@modelcontextprotocol/inspector",
  "2.12.0",
  "clients/launcher/build/index.js",
);
const missing = "missing" in found ? found.missing : undefined;
const options = { ignore: missing !== undefined };
const title = (name: string) => missing === undefined ? name : `${name} (skipped: ${missing})`;

/** Runs the official command line client once. */
async function inspect(target: readonly string[], args: readonly string[], home: string) {
  if ("missing" in found) throw new Error(found.missing);
  return await runProgram([...found.command, "--cli", ...target, ...args], {
    env: { ...loopbackEnv(home), AGENTANYCAST_ENABLE_MDNS: "false", MCP_STORAGE_DIR: home },
  });
}

const STRICT = ["--method", "tools/list", "--strict"];

Deno.test(
  title("the inspector finds nothing in the tools over stdio and gets a task done"),
  options,
  async () => {
    await using folder = await tempDir();
    await using agent = await startTestDaemon();
    await using node = new Node({
      daemonAddr: agent.daemon.grpcAddress,
      card: { name: "Echo", skills: [{ id: "echo" }] },
    });
    node.onTask((task) => task.complete(`Echo: ${task.text}`));
    await node.start();
    const home = join(folder.path, "home");
    const listed = await inspect([...PROGRAM, "mcp", "--home", home], STRICT, home);
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal(listed.stderr, "");
    assert.equal(JSON.parse(listed.stdout).tools.length, 13);
    const [address = ""] = agent.daemon.addresses();
    const sent = await inspect([...PROGRAM, "mcp", "--home", home], [
      ...["--method", "tools/call", "--tool-name", "send_task"],
      ...["--tool-arg", `target=${address}`, "--tool-arg", "message=Hello"],
    ], home);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(JSON.parse(sent.stdout).structuredContent.response_text, "Echo: Hello");
  },
);

Deno.test(title("the inspector finds nothing in the tools over HTTP"), options, async () => {
  await using folder = await tempDir();
  await using node = await startTestDaemon({ flags: { "mcp-enabled": "true", "mcp-listen": "127.0.0.1:0" } });
  const listed = await inspect([node.daemon.mcpUrl ?? ""], STRICT, folder.path);
  assert.equal(listed.code, 0, listed.stderr);
  assert.equal(listed.stderr, "");
  assert.equal(JSON.parse(listed.stdout).tools.length, 13);
});
