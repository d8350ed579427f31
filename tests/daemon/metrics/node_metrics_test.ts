import assert from "node:assert/strict";
import { NODE_METRICS } from "../../../core/node_metrics.ts";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../../../gen/agentanycast/v1/streaming_pb.ts";
import { freePort } from "../../support/free_port.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";

const { method } = NodeService;
const message = { parts: [{ content: { case: "textPart" as const, value: { text: "Hello" } } }] };

/** The samples of a scrape, by name with labels. */
async function scrape(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => {
    const end = line.lastIndexOf(" ");
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

/** Takes the next task, streams something for it, and completes it. */
async function work({ rpc }: TestDaemon): Promise<void> {
  for await (const { task } of rpc.stream(method.subscribeIncomingTasks, {})) {
    const taskId = task?.taskId ?? "";
    await rpc.unary(method.updateTaskStatus, { taskId, status: 2 });
    const of = { taskId, artifactId: "a" };
    await rpc.upload(
      method.sendStreamingArtifact,
      async function* () {
        yield { event: { case: "streamStart" as const, value: { ...of, artifactName: "a" } } };
        yield {
          event: { case: "streamChunk" as const, value: { ...of, data: new Uint8Array(1000), isLast: true } },
        };
        yield { event: { case: "streamEnd" as const, value: { ...of, reason: StreamEndReason.COMPLETE } } };
      }(),
    );
    await rpc.unary(method.completeTask, { taskId });
    return;
  }
}

Deno.test("every metric of a node moves with what it counts", async () => {
  const ports = [freePort(), freePort()];
  const listen = {
    "metrics-listen": `127.0.0.1:${ports[0]}`,
    "bridge-listen": "127.0.0.1:0",
    "anp-listen": "127.0.0.1:0",
  };
  await using agent = await startTestDaemon({ flags: { ...listen, "mcp-listen": "127.0.0.1:0" } });
  await using sender = await startTestDaemon({
    flags: { "metrics-listen": `127.0.0.1:${ports[1]}`, "outbound-allow": "127.0.0.1" },
  });
  const { daemon } = agent;
  await agent.rpc.unary(method.setAgentCard, { card: { name: "Echo", skills: [{ id: "echo" }] } });
  await sender.rpc.unary(method.connectPeer, { peerId: daemon.peerId, addresses: daemon.addresses() });

  const working = work(agent);
  const target = { case: "skillId" as const, value: "echo" };
  const { task } = await sender.rpc.unary(method.sendTask, { target, message });
  await working;
  for await (
    const { status } of sender.rpc.stream(method.subscribeTaskUpdates, { taskId: task?.taskId ?? "" })
  ) {
    if (status === 4) break;
  }
  await sender.rpc.unary(method.sendTask, { target: { case: "peerId", value: `${AWAY}` }, message });
  const url = { case: "url" as const, value: daemon.bridgeUrl ?? "" };
  await sender.rpc.unary(method.sendTask, { target: url, message });
  await work(agent); // the task that came over HTTP
  await sender.rpc.unary(method.sendTask, { target: { case: "peerId", value: daemon.peerId }, message });
  for await (const _open of agent.rpc.stream(method.subscribeIncomingTasks, {})) break;
  await (await fetch(daemon.anpUrl ?? "")).body?.cancel();
  await callTool(daemon.mcpUrl ?? "");

  const [received, sent] = await Promise.all([
    scrape(`http://127.0.0.1:${ports[0]}`),
    scrape(`http://127.0.0.1:${ports[1]}`),
  ]);
  const moved = (name: string) =>
    [...received, ...sent].some(([sample, value]) =>
      sample.startsWith(`agentanycast_${name}`) && (value > 0 || MAY_BE_ZERO.includes(name))
    );
  const still = Object.keys(NODE_METRICS).filter((name) => !moved(name));
  assert.deepEqual(still, []);
  assert.ok((sent.get(`agentanycast_tasks_total{direction="sent",status="completed"}`) ?? 0) >= 1);
  assert.equal(sent.get('agentanycast_stream_bytes_total{direction="received"}'), 1000);
  assert.ok((received.get('agentanycast_mcp_tool_calls_total{tool="get_node_info",status="ok"}') ?? 0) === 1);
});

/** Times that are nothing when all is well. */
const MAY_BE_ZERO = ["event_loop_lag_seconds", "offline_queue_oldest_seconds"];
const AWAY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/** Calls a tool over MCP as a client of the stateless revision. */
async function callTool(url: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "get_node_info",
    },
    body: JSON.stringify({
      ...{ jsonrpc: "2.0", id: 1, method: "tools/call" },
      params: {
        ...{ name: "get_node_info", arguments: {} },
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
  assert.equal(response.status, 200);
  await response.text();
}
