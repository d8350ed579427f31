import assert from "node:assert/strict";
import { join } from "node:path";
import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Node } from "../../../sdk/mod.ts";
import { freePort } from "../../support/free_port.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";

const HTTP = { "mcp-enabled": "true", "mcp-listen": "127.0.0.1:0" };
const TOKENS = { alice: "a".repeat(32), bob: "b".repeat(32) };

/** A node at the daemon with an agent that echoes. */
async function startAgent({ daemon }: TestDaemon): Promise<Node> {
  const node = new Node({
    daemonAddr: daemon.grpcAddress,
    card: { name: "Echo", skills: [{ id: "echo", description: "Says it again" }] },
  });
  node.onTask((task) => task.complete(`Echo: ${task.text}`));
  await node.start();
  return node;
}

async function connect({ daemon }: TestDaemon, token?: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ name: "test", version: "1" });
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(daemon.mcpUrl ?? ""), { requestInit: { headers } }),
  );
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<CallToolResult> {
  return await client.callTool({ name, arguments: args }) as CallToolResult;
}

Deno.test("startMcp() lets a client send a task to the agent of another daemon", async () => {
  await using a = await startTestDaemon({ flags: HTTP });
  await using b = await startTestDaemon();
  await using _agent = await startAgent(b);
  await using client = await connect(a);
  const connected = await call(client, "connect_peer", { target: b.daemon.addresses()[0] });
  assert.equal((connected.structuredContent as { peer_id: string }).peer_id, b.daemon.peerId);
  const card = await call(client, "get_agent_card", { peer_id: b.daemon.peerId });
  assert.equal((card.structuredContent as { name: string }).name, "Echo");
  const done = await call(client, "send_task", { target: b.daemon.peerId, message: "Hi" });
  assert.equal((done.structuredContent as { response_text: string }).response_text, "Echo: Hi");
  const found = await call(client, "discover_agents", { skill: "echo" });
  const { agents } = found.structuredContent as { agents: { peer_id: string; verified: boolean }[] };
  assert.deepEqual(agents.map(({ peer_id, verified }) => [peer_id, verified]), [[b.daemon.peerId, true]]);
  const anycast = await call(client, "send_task_by_skill", { skill: "echo", message: "You" });
  const { response_text, mode, target } = anycast.structuredContent as Record<string, string>;
  assert.deepEqual([response_text, mode, target], ["Echo: You", "anycast", b.daemon.peerId]);
  const { tasks } = (await call(client, "list_tasks", {})).structuredContent as { tasks: unknown[] };
  assert.equal(tasks.length, 2);
});

Deno.test("startMcp() reaches an agent behind a URL", async () => {
  const port = freePort();
  await using b = await startTestDaemon({ flags: { "bridge-listen": `127.0.0.1:${port}` } });
  await using _agent = await startAgent(b);
  await using a = await startTestDaemon({ flags: { ...HTTP, "outbound-allow": "127.0.0.1" } });
  await using client = await connect(a);
  const url = `http://127.0.0.1:${port}`;
  const done = await call(client, "send_task", { target: url, message: "Hi" });
  const { status, mode, response_text } = done.structuredContent as Record<string, string>;
  assert.deepEqual([status, mode, response_text], ["completed", "http_bridge", "Echo: Hi"]);
  await using closed = await startTestDaemon({ flags: HTTP });
  await using other = await connect(closed);
  const refused = await call(other, "send_task", { target: url, message: "Hi" });
  assert.equal(refused.isError, true, "an address that is not public, and not allowed");
});

Deno.test("startMcp() keeps the tasks of callers apart, and gives the own agent theirs under their names", async () => {
  await using folder = await tempDir();
  const tokensFile = join(folder.path, "tokens");
  await Deno.writeTextFile(tokensFile, `# callers\nalice:${TOKENS.alice}\nbob:${TOKENS.bob}\n`, {
    mode: 0o600,
  });
  await using node = await startTestDaemon({ flags: { ...HTTP, "mcp-tokens-file": tokensFile } });
  await using _agent = await startAgent(node);
  await using alice = await connect(node, TOKENS.alice);
  const done = await call(alice, "send_task", { target: node.daemon.peerId, message: "Hi" });
  const { task_id, target, response_text } = done.structuredContent as Record<string, string>;
  assert.deepEqual([target, response_text], ["mcp:alice", "Echo: Hi"]);
  await using bob = await connect(node, TOKENS.bob);
  assert.equal((await call(bob, "get_task_status", { task_id })).isError, true);
  assert.deepEqual((await call(bob, "list_tasks", {})).structuredContent, { count: 0, tasks: [] });
  const { tools } = await bob.listTools();
  assert.equal(tools.some(({ name }) => name === "pin_agent"), false, "pins are for everybody");
  const dialed = await call(bob, "connect_peer", {
    target: `/ip4/127.0.0.1/tcp/1/p2p/${node.daemon.peerId}`,
  });
  assert.equal((dialed._meta?.["agentanycast/error"] as { code: string }).code, "permission_denied");
  const own = (await call(alice, "list_tasks", {})).structuredContent as { count: number };
  assert.equal(own.count, 1);
  await assert.rejects(connect(node), /401|Unauthorized|token/i);
});

Deno.test("startMcp() counts the calls of tools", async () => {
  const metricsListen = `127.0.0.1:${freePort()}`;
  const flags = { ...HTTP, "metrics-enabled": "true", "metrics-listen": metricsListen };
  await using node = await startTestDaemon({ flags });
  await using client = await connect(node);
  await call(client, "get_node_info", {});
  await call(client, "get_task_status", { task_id: "none" });
  const metrics = await (await fetch(`http://${metricsListen}/metrics`)).text();
  assert.match(metrics, /agentanycast_mcp_tool_calls_total\{tool="get_node_info",status="ok"\} 1/);
  assert.match(metrics, /agentanycast_mcp_tool_calls_total\{tool="get_task_status",status="error"\} 1/);
});

Deno.test("startMcp() refuses to serve everybody at an address that others reach", async () => {
  const start = startTestDaemon({ flags: { ...HTTP, "mcp-listen": "0.0.0.0:0" } });
  await assert.rejects(start, /set mcp\.tokens_file/);
});

Deno.test("startMcp() refuses a file of tokens that others can read", async () => {
  await using folder = await tempDir();
  const tokensFile = join(folder.path, "tokens");
  await Deno.writeTextFile(tokensFile, `alice:${TOKENS.alice}\n`);
  await Deno.chmod(tokensFile, 0o644);
  const start = startTestDaemon({ flags: { ...HTTP, "mcp-tokens-file": tokensFile } });
  await assert.rejects(start, /chmod 600/);
});
