import assert from "node:assert/strict";
import { join } from "node:path";
import { McpStdio } from "../support/mcp_stdio.ts";
import { loopbackEnv, RunningProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
const PROGRAM = [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")];
const TOOL_SERVER = join(ROOT, "tests/mcp/proxy/tool_server.ts");

Deno.test("mcp answers garbage with errors, goes on, prints nothing else and ends with its client", async () => {
  await using home = await tempDir();
  await using client = new McpStdio(["mcp"], home.path);
  await client.write("this is no JSON\n\u0000\u0001\n{}\n[]\n");
  await client.initialize();
  const { result } = await client.request("tools/list");
  assert.equal((result?.tools as unknown[]).length, 13);
  const unknown = await client.request("no/such/method");
  assert.equal(unknown.error?.code, -32601);
  const { peer_id } = await client.call("get_node_info");
  assert.match(String(peer_id), /^12D3KooW/);
  assert.equal(await client.close(), 0);
  for (const line of client.lines) assert.equal(JSON.parse(line).jsonrpc, "2.0", line);
});

Deno.test("mcp speaks revision 2026-07-28 without a handshake", async () => {
  await using home = await tempDir();
  await using client = new McpStdio(["mcp"], home.path);
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const { result } = await client.request("tools/list", { _meta });
  assert.equal(result?.resultType, "complete");
  assert.equal((result?.tools as unknown[]).length, 13);
  assert.equal(await client.close(), 0);
});

Deno.test("a second client on a home joins the node of the first, and keeps it when the first is killed", async () => {
  await using home = await tempDir();
  await using first = new McpStdio(["mcp"], home.path);
  await first.initialize();
  const { peer_id } = await first.call("get_node_info");
  await using second = new McpStdio(["mcp"], home.path);
  await second.initialize();
  assert.equal((await second.call("get_node_info")).peer_id, peer_id);
  first.child.kill("SIGKILL");
  await first.child.status;
  assert.equal((await second.call("get_node_info")).peer_id, peer_id);
  assert.equal(await second.close(), 0);
});

Deno.test("mcp proxy makes an MCP server an agent that an assistant reaches through the network", async () => {
  await using homes = await tempDir();
  await using proxy = new RunningProgram(
    [
      ...PROGRAM,
      "mcp",
      "proxy",
      "--home",
      join(homes.path, "a"),
      "--",
      Deno.execPath(),
      "run",
      "-A",
      TOOL_SERVER,
    ],
    { ...loopbackEnv(join(homes.path, "a")), AGENTANYCAST_ENABLE_MDNS: "false" },
  );
  assert.equal(await proxy.value("AGENT"), "Toolbox");
  const peerId = await proxy.value("PEER_ID");
  const address = await proxy.value("LISTEN_ADDR");
  await using client = new McpStdio(["mcp"], join(homes.path, "b"));
  await client.initialize();
  await client.call("connect_peer", { target: address });
  const { tools } = await client.call("pin_agent", { peer_id: peerId });
  assert.ok((tools as string[]).includes("toolbox__add"));
  const { artifacts, status } = await client.call("toolbox__add", { a: 20, b: 22 }) as {
    artifacts: { parts: { data?: unknown }[] }[];
    status: string;
  };
  assert.equal(status, "completed");
  assert.deepEqual(artifacts[0]?.parts[1]?.data, { sum: 42 });
  assert.equal(await client.close(), 0);
  assert.equal((await proxy.stop()).code, 0);
});
