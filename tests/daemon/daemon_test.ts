import assert from "node:assert/strict";
import { join } from "node:path";
import type { JsonObject, MessageShape } from "@bufbuild/protobuf";
import { TaskDirection, TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { ConnectionType } from "../../gen/agentanycast/v1/common_pb.ts";
import {
  NodeService,
  type SubscribeIncomingTasksResponseSchema,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { untilHolds } from "../support/patience.ts";
import { startTestDaemon, startTestPair, type TestDaemon } from "../support/test_daemon.ts";
import { tempDir } from "../support/temp_dir.ts";

const rpcs = NodeService.method;

function textMessage(text: string) {
  return { parts: [{ content: { case: "textPart" as const, value: { text } } }] };
}

async function firstIncoming(
  node: TestDaemon,
): Promise<MessageShape<typeof SubscribeIncomingTasksResponseSchema>> {
  for await (const incoming of node.rpc.stream(rpcs.subscribeIncomingTasks, {})) return incoming;
  throw new Error("the stream ended");
}

async function sendTask(from: TestDaemon, to: TestDaemon, text = "hi"): Promise<string> {
  const target = { case: "peerId" as const, value: to.daemon.peerId };
  const { task } = await from.rpc.unary(rpcs.sendTask, {
    target,
    message: textMessage(text),
    metadata: { k: "v" },
  });
  return task!.taskId;
}

Deno.test("getNodeInfo() tells who and where the node is", async () => {
  await using node = await startTestDaemon();
  const { nodeInfo, card } = await node.rpc.unary(rpcs.getNodeInfo, {});
  assert.equal(nodeInfo?.peerId, node.daemon.peerId);
  assert.equal(nodeInfo?.didKey, node.daemon.didKey);
  assert.equal(nodeInfo?.home, node.home);
  assert.equal(nodeInfo?.pid, Deno.pid);
  assert.equal(card, undefined);
  for (const address of nodeInfo!.listenAddresses) {
    assert.match(address, /^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/p2p\/12D3KooW/);
  }
});

Deno.test("the socket and everything in the home is the owner's alone", async () => {
  await using node = await startTestDaemon();
  const mode = async (...path: string[]) =>
    ((await Deno.lstat(join(node.home, ...path))).mode! & 0o777).toString(8);
  assert.deepEqual(
    [await mode("daemon.sock"), await mode("key"), await mode("data")],
    ["600", "600", "700"],
  );
});

Deno.test("a task goes to the agent of the other daemon and its result comes back", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  await a.rpc.unary(rpcs.setAgentCard, { card: { name: "Caller", skills: [] } });
  const incoming = firstIncoming(b);
  const taskId = await sendTask(a, b);
  const { task, senderCard } = await incoming;
  assert.deepEqual(
    [task?.taskId, task?.originatorPeerId, task?.metadata, senderCard?.name],
    [taskId, a.daemon.peerId, { k: "v" }, "Caller"],
  );
  const updates = Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskUpdates, { taskId }));
  await b.rpc.unary(rpcs.updateTaskStatus, { taskId, status: TaskStatus.WORKING });
  const artifacts = [{ artifactId: "r", name: "result", parts: textMessage("HI").parts }];
  await b.rpc.unary(rpcs.completeTask, { taskId, artifacts, message: textMessage("done") });
  const seen = await updates;
  const last = seen.at(-1);
  assert.equal(last?.status, TaskStatus.COMPLETED);
  assert.equal(seen.filter((update) => update.status === TaskStatus.COMPLETED).length, 1);
  assert.equal(last?.artifacts[0]?.name, "result");
  const { task: stored } = await a.rpc.unary(rpcs.getTask, { taskId });
  assert.deepEqual([stored?.status, stored?.artifacts.length, stored?.messages.length], [
    TaskStatus.COMPLETED,
    1,
    2,
  ]);
});

for (
  const [transport, suffix, setting] of [
    ["webtransport", "quic-v1/webtransport", "enable-webtransport"],
    ["webrtc-direct", "webrtc-direct", "enable-webrtc-direct"],
  ] as const
) {
  Deno.test(`a task and its result pass over ${transport}`, async () => {
    await using net = await startTestPair({ listen: `/ip4/127.0.0.1/udp/0/${suffix}`, [setting]: "true" });
    const { a, b } = net;
    const incoming = firstIncoming(b);
    const taskId = await sendTask(a, b, "as browsers do");
    const [part] = (await incoming).task?.messages[0]?.parts ?? [];
    assert.equal(part?.content.case === "textPart" && part.content.value.text, "as browsers do");
    await b.rpc.unary(rpcs.completeTask, { taskId, artifacts: [], message: textMessage("done") });
    const updates = await Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskUpdates, { taskId }));
    assert.equal(updates.at(-1)?.status, TaskStatus.COMPLETED);
    const { peers } = await a.rpc.unary(rpcs.listPeers, {});
    assert.deepEqual(peers.map((peer) => [peer.peerId, peer.transport]), [[b.daemon.peerId, transport]]);
  });
}

Deno.test("a failed task tells its sender why, also one that was never taken up", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const incoming = firstIncoming(b);
  const taskId = await sendTask(a, b);
  await incoming;
  await b.rpc.unary(rpcs.failTask, { taskId, errorMessage: "no paper" });
  const updates = await Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskUpdates, { taskId }));
  assert.deepEqual([updates.at(-1)?.status, updates.at(-1)?.errorMessage], [TaskStatus.FAILED, "no paper"]);
});

Deno.test("cancelTask() reaches the agent that works on it", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const incoming = firstIncoming(b);
  const taskId = await sendTask(a, b);
  await incoming;
  const seen = Array.fromAsync(b.rpc.stream(rpcs.subscribeTaskUpdates, { taskId }));
  await a.rpc.unary(rpcs.cancelTask, { taskId });
  assert.equal((await seen).at(-1)?.status, TaskStatus.CANCELED);
  await assert.rejects(b.rpc.unary(rpcs.completeTask, { taskId }), { code: "failed_precondition" });
});

Deno.test("getPeerCard() answers at once after connectPeer() and follows a change while connected", async () => {
  await using a = await startTestDaemon();
  await using b = await startTestDaemon();
  await b.rpc.unary(rpcs.setAgentCard, { card: { name: "First", skills: [{ id: "echo" }] } });
  const { peerInfo } = await a.rpc.unary(rpcs.connectPeer, {
    peerId: b.daemon.peerId,
    addresses: b.daemon.addresses(),
  });
  assert.deepEqual(
    [peerInfo?.connectionType, peerInfo?.direction, peerInfo?.agentName],
    [ConnectionType.DIRECT, "outbound", "First"],
  );
  const { card } = await a.rpc.unary(rpcs.getPeerCard, { peerId: b.daemon.peerId });
  assert.deepEqual(
    [card?.name, card?.skills[0]?.id, card?.p2pExtension?.peerId, card?.p2pExtension?.didKey],
    ["First", "echo", b.daemon.peerId, b.daemon.didKey],
  );
  await b.rpc.unary(rpcs.setAgentCard, { card: { name: "Second" } });
  assert.equal((await a.rpc.unary(rpcs.getPeerCard, { peerId: b.daemon.peerId })).card?.name, "Second");
  assert.deepEqual((await b.rpc.unary(rpcs.listPeers, {})).peers.map((peer) => peer.peerId), [
    a.daemon.peerId,
  ]);
});

Deno.test("tasks and cards are still there after a restart", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "a");
  let taskId = "";
  await using b = await startTestDaemon();
  {
    await using a = await startTestDaemon({ home });
    await a.rpc.unary(rpcs.setAgentCard, { card: { name: "Kept" } });
    await a.rpc.unary(rpcs.connectPeer, { peerId: b.daemon.peerId, addresses: b.daemon.addresses() });
    taskId = await sendTask(a, b, "keep me");
  }
  await using again = await startTestDaemon({ home });
  const { task } = await again.rpc.unary(rpcs.getTask, { taskId });
  assert.equal(task?.status, TaskStatus.SUBMITTED);
  assert.equal((await again.rpc.unary(rpcs.getNodeInfo, {})).card?.name, "Kept");
  const { tasks } = await again.rpc.unary(AdminService.method.listTasks, {
    direction: TaskDirection.OUTBOUND,
  });
  assert.deepEqual(tasks.map((one) => one.taskId), [taskId]);
});

Deno.test("a second daemon on the same home is refused and told who has it", async () => {
  await using first = await startTestDaemon();
  await assert.rejects(startTestDaemon({ home: first.home }), (error: Error & { code: string }) => {
    assert.equal(error.code, "aborted");
    assert.match(error.message, new RegExp(`\\b${Deno.pid}\\b`));
    return true;
  });
  await first.rpc.unary(rpcs.getNodeInfo, {});
});

Deno.test("bad requests get a code and a sentence", async () => {
  await using net = await startTestPair();
  const { a } = net;
  const message = textMessage("x");
  const unknownPeer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  const send = (target: { case: "peerId" | "skillId" | "url"; value: string }) =>
    a.rpc.unary(rpcs.sendTask, { target, message });
  const cases: [() => Promise<unknown>, string][] = [
    [() => a.rpc.unary(rpcs.sendTask, { message }), "invalid_argument"],
    [
      () => a.rpc.unary(rpcs.sendTask, { target: { case: "peerId", value: unknownPeer } }),
      "invalid_argument",
    ],
    [() => send({ case: "peerId", value: "nonsense" }), "invalid_argument"],
    [() => send({ case: "peerId", value: a.daemon.peerId }), "invalid_argument"],
    [() => send({ case: "skillId", value: "echo" }), "not_found"],
    [() => send({ case: "skillId", value: "" }), "invalid_argument"],
    [() => send({ case: "url", value: "ftp://agent.test" }), "invalid_argument"],
    [() => a.rpc.unary(rpcs.discover, { limit: -1 }), "invalid_argument"],
    [() => Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskStream, { taskId: "x" })), "not_found"],
    [() => a.rpc.unary(rpcs.getTask, { taskId: "nope" }), "not_found"],
    [() => a.rpc.unary(rpcs.getTask, {}), "invalid_argument"],
    [() => a.rpc.unary(rpcs.cancelTask, { taskId: "nope" }), "not_found"],
    [() => a.rpc.unary(rpcs.completeTask, { taskId: "nope" }), "not_found"],
    [() => Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskUpdates, { taskId: "nope" })), "not_found"],
    [() => a.rpc.unary(rpcs.getPeerCard, { peerId: unknownPeer }), "not_found"],
    [
      () => a.rpc.unary(rpcs.connectPeer, { peerId: unknownPeer, addresses: ["/ip4/127.0.0.1/tcp/1"] }),
      "unavailable",
    ],
    [() => a.rpc.unary(rpcs.connectPeer, { peerId: "", addresses: [] }), "invalid_argument"],
    [() => a.rpc.unary(rpcs.setAgentCard, {}), "invalid_argument"],
    [() => a.rpc.unary(rpcs.setAgentCard, { card: { name: "" } }), "invalid_argument"],
  ];
  for (const [i, [call, code]] of cases.entries()) {
    await assert.rejects(call(), (error: Error & { code: string }) => {
      assert.equal(error.code, code, `case ${i}: ${error.message}`);
      assert.ok(error.message.length > 10);
      return true;
    });
  }
});

Deno.test("sendTask() to a peer that nobody has seen queues the task, and cancelTask() ends it at once", async () => {
  await using net = await startTestPair();
  const { rpc } = net.a;
  const target = { case: "peerId", value: "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN" } as const;
  const { task } = await rpc.unary(rpcs.sendTask, { target, message: textMessage("x") });
  assert.equal(task?.status, TaskStatus.SUBMITTED);
  const canceled = await rpc.unary(rpcs.cancelTask, { taskId: task.taskId });
  assert.deepEqual([canceled.task?.status, canceled.task?.cancelRequested], [TaskStatus.CANCELED, false]);
});

Deno.test("stopNode() asks the owner of the daemon to stop", async () => {
  await using node = await startTestDaemon();
  await node.rpc.unary(AdminService.method.stopNode, {});
  await node.daemon.stopRequested;
});

Deno.test("a start that fails half-way leaves nothing behind", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "home");
  await assert.rejects(startTestDaemon({ home, flags: { listen: "/ip4/192.0.2.1/tcp/1" } }), {
    code: "unavailable",
  });
  await using _node = await startTestDaemon({ home });
});

Deno.test("what does not fit into a frame is refused, and its task can still be completed", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const tooLarge = {
    parts: [{ content: { case: "rawPart" as const, value: { data: new Uint8Array(17 * 1024 * 1024) } } }],
  };
  const refusal = { code: "resource_exhausted", message: /\d+ bytes.*16777216/ };
  const target = { case: "peerId" as const, value: b.daemon.peerId };
  await assert.rejects(a.rpc.unary(rpcs.sendTask, { target, message: tooLarge }), refusal);
  assert.deepEqual((await a.rpc.unary(AdminService.method.listTasks, {})).tasks, []);

  const incoming = firstIncoming(b);
  const taskId = await sendTask(a, b);
  await incoming;
  const artifact = (parts: typeof tooLarge.parts) => ({ artifactId: "r", name: "result", parts });
  await assert.rejects(
    b.rpc.unary(rpcs.completeTask, { taskId, artifacts: [artifact(tooLarge.parts)] }),
    refusal,
  );
  await assert.rejects(
    b.rpc.unary(rpcs.updateTaskStatus, { taskId, status: TaskStatus.WORKING, message: tooLarge }),
    refusal,
  );
  assert.equal((await b.rpc.unary(rpcs.getTask, { taskId })).task?.status, TaskStatus.SUBMITTED);
  await b.rpc.unary(rpcs.completeTask, { taskId, artifacts: [{ ...artifact([]), ...textMessage("small") }] });
  const updates = await Array.fromAsync(a.rpc.stream(rpcs.subscribeTaskUpdates, { taskId }));
  assert.equal(updates.at(-1)?.status, TaskStatus.COMPLETED);
});

Deno.test("nested data arrives whole or is refused at once, and what is refused leaves no task", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const target = { case: "peerId" as const, value: b.daemon.peerId };
  const send = (levels: number) => {
    let data: JsonObject = { leaf: true };
    for (let i = 1; i < levels; i++) data = { data };
    const parts = [{ content: { case: "dataPart" as const, value: { data } } }];
    return a.rpc.unary(rpcs.sendTask, { target, message: { parts } });
  };
  // 29 levels fill an envelope; beyond 47 the request itself is deeper than any message may be.
  await assert.rejects(send(40), { code: "invalid_argument", message: /nested deeper than 64 levels/ });
  await assert.rejects(send(60), {
    code: "invalid_argument",
    message: /SendTaskRequest cannot be read: .*depth/,
  });
  assert.deepEqual((await a.rpc.unary(AdminService.method.listTasks, {})).tasks, []);

  const incoming = firstIncoming(b);
  const { task: sent } = await send(29);
  const { task: received } = await incoming;
  assert.deepEqual(received?.messages[0]?.parts, sent?.messages[0]?.parts);
  assert.equal(received?.messages[0]?.parts[0]?.content.case, "dataPart");
});

Deno.test("getPeerCard() asks a peer again that had no card when it connected", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const card = () => a.rpc.unary(rpcs.getPeerCard, { peerId: b.daemon.peerId });
  await assert.rejects(card(), { code: "not_found" });
  const set = b.rpc.unary(rpcs.setAgentCard, { card: { name: "Late" } });
  await untilHolds(() => card().then(({ card }) => card?.name === "Late", () => false));
  await set;
});
