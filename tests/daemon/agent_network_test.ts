import assert from "node:assert/strict";
import { Engine, type EnvelopeTransport, type Message } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { AgentNetwork, type AgentNetworkDeps } from "../../daemon/agent_network.ts";
import { callerRoute, isCallerId, routeTransports } from "../../daemon/routed_transport.ts";
import { encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import { createMemoryKvStore } from "../../kv/mod.ts";

const PEERS: EnvelopeTransport = {
  peerId: "self",
  isConnected: () => false,
  framingOf: () => "2.0",
  windowOf: () => 1,
  connect: (peerId) => Promise.reject(new Error(`nobody is to be dialed: ${peerId}`)),
  send: (peerId) => Promise.reject(new Error(`nothing is to be sent: ${peerId}`)),
};

const HELLO: Message = {
  messageId: "m1",
  role: "user",
  parts: [{ content: { kind: "text", text: "Hello" }, mediaType: "", metadata: {} }],
  createdAtMs: 1,
};

async function openNetwork() {
  const kv = createMemoryKvStore();
  const engine = new Engine({
    store: new KvTaskStore({ kv, logger: silentLogger }),
    transport: routeTransports(PEERS, [callerRoute]),
    encode: encodeEnvelope,
    logger: silentLogger,
  });
  await engine.start();
  const host = { peerId: "self" } as AgentNetworkDeps["host"];
  const cardOf = () => Promise.resolve(undefined);
  const network = new AgentNetwork({ engine, host, cards: { own: undefined }, cardOf });
  return { engine, network, [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose]() };
}

Deno.test("isCallerId() tells callers of this node from peers and URLs", () => {
  for (const caller of ["http:anonymous", "anp:did:wba:example.com", "mcp:inspector", "grpc:local"]) {
    assert.ok(isCallerId(caller), caller);
  }
  for (const other of ["12D3KooWDpJ7", "http://example.com", "https://a", "http:", "nats:x"]) {
    assert.ok(!isCallerId(other), other);
  }
});

Deno.test("AgentNetwork gives a caller's task to the own agent and sends nobody its reports", async () => {
  await using net = await openNetwork();
  const { engine, network } = net;
  const target = { kind: "own", caller: "http:alice" } as const;
  const task = await network.send({ target, taskId: "t1", message: HELLO, targetSkillId: "echo" });
  assert.deepEqual([task.direction, task.peerId, task.status], ["inbound", "http:alice", "submitted"]);
  for await (const offered of engine.subscribeIncoming()) {
    assert.equal(offered.task.taskId, "t1");
    break;
  }
  await engine.updateTask("t1", { status: "working" });
  await engine.completeTask("t1", { artifacts: [] });
  assert.equal((await engine.getTask("t1")).status, "completed");
});

Deno.test("AgentNetwork takes a caller's repetition once, and refuses another caller's task id", async () => {
  await using net = await openNetwork();
  const request = { taskId: "t1", message: HELLO };
  const send = (caller: `http:${string}`) =>
    net.network.send({ ...request, target: { kind: "own", caller } });
  await send("http:alice");
  assert.equal((await send("http:alice")).generation, 1);
  await assert.rejects(send("http:mallory"), { code: "failed_precondition" });
});

Deno.test("AgentNetwork says which targets it has no way to", async () => {
  await using net = await openNetwork();
  for (
    const target of [
      { kind: "skill", skillId: "echo" },
      { kind: "url", url: "https://agent.example" },
    ] as const
  ) {
    await assert.rejects(net.network.send({ target, message: HELLO }), { code: "unimplemented" });
  }
  await assert.rejects(net.network.discover({ skill: "echo" }), { code: "unimplemented" });
});
