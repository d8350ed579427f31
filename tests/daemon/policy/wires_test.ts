import { deepEqual, equal, match } from "node:assert/strict";
import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { Node } from "../../../sdk/mod.ts";
import { PATIENCE_MS } from "../../support/patience.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";

const WIRES = {
  "bridge-listen": "127.0.0.1:0",
  "mcp-enabled": "true",
  "mcp-listen": "127.0.0.1:0",
  "anp-listen": "127.0.0.1:0",
};
const TOKEN = "alice-token-of-thirty-two-characters";

function startAgent({ daemon }: TestDaemon): Node {
  const node = new Node({
    daemonAddr: daemon.grpcAddress,
    card: { name: "Echo", skills: [{ id: "open" }, { id: "closed" }] },
  });
  node.onTask((task) => task.complete(`Echo: ${task.text}`));
  return node;
}

/** Sends a message over the bridge, by REST and by JSON-RPC; answers status and text of both. */
async function sendByHttp({ daemon }: TestDaemon, path: string, token?: string) {
  const headers = {
    "content-type": "application/json",
    "a2a-version": "1.0",
    ...token !== undefined && { authorization: `Bearer ${token}` },
  };
  const request = () => ({
    message: { messageId: crypto.randomUUID(), role: "ROLE_USER", parts: [{ text: "hi" }] },
  });
  const post = async (url: string, body: unknown) => {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, text: await response.text() };
  };
  const base = `${daemon.bridgeUrl?.replace(/\/$/, "")}${path}`;
  return {
    rest: await post(`${base}/message:send`, request()),
    rpc: await post(`${base}/`, { jsonrpc: "2.0", id: 1, method: "SendMessage", params: request() }),
  };
}

async function sendByMcp({ daemon }: TestDaemon, target: string): Promise<CallToolResult> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(daemon.mcpUrl ?? "")));
  try {
    return await client.callTool({
      name: "send_task",
      arguments: { target, message: "hi" },
    }) as CallToolResult;
  } finally {
    await client.close();
  }
}

async function sendByAnp({ daemon }: TestDaemon): Promise<string> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "open", params: { input: "hi" } });
  const url = `${daemon.anpUrl?.replace(/\/$/, "")}/agent/rpc`;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return await response.text();
}

Deno.test("no wire leads past the rules, neither to the own agent nor through the node to others", async () => {
  await using dir = await tempDir();
  const audit = `${dir.path}/audit.jsonl`;
  await using other = await startTestDaemon();
  const toml = `
    bridge.tokens = ["alice=${TOKEN}"]
    bridge.allow_anonymous = true
    policy.audit_log_path = "${audit}"
    policy.acl = [{ source = "http:alice", allow = true }]
  `;
  await using node = await startTestDaemon({ flags: WIRES, toml });
  await using otherAgent = startAgent(other);
  await using ownAgent = startAgent(node);
  await Promise.all([otherAgent.start(), ownAgent.start()]);
  await node.rpc.unary(NodeService.method.connectPeer, {
    ...{ peerId: other.daemon.peerId, addresses: other.daemon.addresses() },
  });
  const toPeer = `/agents/${other.daemon.peerId}`;

  const alice = await sendByHttp(node, "", TOKEN);
  deepEqual([alice.rest.status, alice.rpc.status], [200, 200], alice.rest.text);
  match(alice.rest.text, /Echo: hi/);
  const gateway = await sendByHttp(node, toPeer, TOKEN);
  deepEqual([gateway.rest.status, gateway.rpc.status], [200, 200], gateway.rest.text);

  for (const path of ["", toPeer]) {
    const { rest, rpc } = await sendByHttp(node, path);
    if (rest.status === 401) continue; // the bridge wants a token of everybody once it has some
    equal(rest.status, 403, rest.text);
    match(rest.text, /the policy of this node does not allow it/);
    match(rpc.text, /the policy of this node does not allow it/);
  }
  for (const target of [node.daemon.peerId, other.daemon.peerId]) {
    const result = await sendByMcp(node, target);
    equal(result.isError, true, JSON.stringify(result));
    match(JSON.stringify(result.content), /the policy of this node does not allow it/);
  }
  match(await sendByAnp(node), /the policy of this node does not allow it/);
  await other.rpc.unary(NodeService.method.connectPeer, {
    ...{ peerId: node.daemon.peerId, addresses: node.daemon.addresses() },
  });
  const handle = await otherAgent.sendTask("hi", { peerId: node.daemon.peerId });
  const rejected = await handle.wait({ timeoutMs: PATIENCE_MS }).catch((error) => error);
  match(String(rejected.message), /the policy of this node does not allow it/);
  equal(handle.status, "rejected");

  const lines = (await Deno.readTextFile(audit)).trim().split("\n").map((line) => JSON.parse(line));
  const wires = new Set(lines.map(({ wire, decision, direction }) => `${wire} ${direction} ${decision}`));
  for (
    const one of [
      "http inbound allow",
      "http outbound allow",
      "mcp inbound deny",
      "anp inbound deny",
      "libp2p inbound deny",
    ]
  ) {
    equal(wires.has(one), true, [...wires].join("; "));
  }
});

Deno.test("limits hold for callers over HTTP, who are told when to come again", async () => {
  const toml = `
    bridge.tokens = ["alice=${TOKEN}"]
    [policy.rate_limit]
    overrides = [{ source = "http:alice", rps = 0.01, burst = 2 }]
  `;
  await using node = await startTestDaemon({ flags: { "bridge-listen": "127.0.0.1:0" }, toml });
  await using agent = startAgent(node);
  await agent.start();
  const first = await sendByHttp(node, "", TOKEN);
  deepEqual([first.rest.status, first.rpc.status], [200, 200], first.rest.text);
  const { rest } = await sendByHttp(node, "", TOKEN);
  equal(rest.status, 429, rest.text);
  match(rest.text, /too many tasks: try again in \d+ s/);
});

Deno.test("programs of this node are told by which rule they may not send", async () => {
  await using other = await startTestDaemon();
  const toml = `policy.acl = [{ direction = "outbound", target = "${other.daemon.peerId}", allow = false }]`;
  await using node = await startTestDaemon({ toml });
  await using program = new Node({ daemonAddr: node.daemon.grpcAddress });
  await program.start();
  const error = await program.sendTask("hi", { peerId: other.daemon.peerId }).catch((reason) => reason);
  deepEqual([error.code, /rule 1 denies it/.test(error.message)], ["permission_denied", true], error.message);
});
