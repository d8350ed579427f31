import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { type A2AEnvelope, A2AEnvelopeSchema, TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { bundlePeer } from "./foreign_peer.ts";
import {
  giveTask,
  type InteropNet,
  nextTask,
  startInteropNet,
  subscribe,
  takeTask,
  textParts,
  type Updates,
} from "./interop_net.ts";
import { findNode } from "./node_runtime.ts";

const {
  cancelTask,
  completeTask,
  connectPeer,
  failTask,
  getPeerCard,
  getTask,
  setAgentCard,
  updateTaskStatus,
} = NodeService.method;
const { CANCELED, COMPLETED, FAILED, INPUT_REQUIRED, REJECTED, SUBMITTED, WORKING } = TaskStatus;

const ARTIFACT = { artifactId: "a1", name: "answer", parts: textParts("done") };
const MAX_FRAME_BYTES = 16_777_216;

const node = await findNode();
if ("missing" in node) console.warn(`Skipping the tests with a foreign peer: ${node.missing}`);
const folder = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const bundle = "missing" in node ? "" : await bundlePeer(folder);

/** A test with a daemon of ours and a foreign peer; skipped where there is no Node to run the peer. */
function interopTest(name: string, work: (net: InteropNet) => Promise<void>, connected = true): void {
  Deno.test({
    name,
    ignore: "missing" in node,
    fn: async () => {
      await using net = await startInteropNet({ node: "path" in node ? node.path : "", bundle, connected });
      await work(net);
    },
  });
}

interopTest("startDaemon() exchanges cards both ways when a foreign peer dials", async (net) => {
  const { ours, peer, rpc } = net;
  await rpc.unary(setAgentCard, { card: { name: "Ours", skills: [{ id: "echo" }] } });
  await peer.setCard({ name: "Foreign", skills: [{ id: "sing", description: "sings" }] });
  await peer.command("dial", { address: net.address });
  for (const way of ["offer", "answer"]) {
    const { card, from } = await peer.until((event) => event.event === "card" && event.way === way);
    const { name, skills, p2pExtension } = card as Record<string, Record<string, string>[]>;
    assert.deepEqual([from, name, skills?.[0]?.id], [ours, "Ours", "echo"]);
    assert.equal((p2pExtension as unknown as Record<string, string>).peerId, ours);
  }
  const { card } = await rpc.unary(getPeerCard, { peerId: peer.peerId });
  assert.equal(card?.name, "Foreign");
  assert.deepEqual(card.skills.map(({ id, description }) => [id, description]), [["sing", "sings"]]);
  assert.equal(card.p2pExtension?.peerId, peer.peerId);
}, false);

interopTest("startDaemon() exchanges cards both ways when it dials a foreign peer", async (net) => {
  const { peer, rpc } = net;
  await rpc.unary(setAgentCard, { card: { name: "Ours" } });
  await peer.setCard({ name: "Foreign" });
  const { peerInfo } = await rpc.unary(connectPeer, { peerId: peer.peerId, addresses: [peer.address] });
  assert.equal(peerInfo?.agentName, "Foreign");
  await peer.until(({ event, card }) => event === "card" && (card as { name?: string }).name === "Ours");
}, false);

interopTest("startDaemon() gives its changed card to a foreign peer that has none", async ({ peer, rpc }) => {
  await assert.rejects(rpc.unary(getPeerCard, { peerId: peer.peerId }), { code: "not_found" });
  for (const name of ["First", "Second"]) {
    await rpc.unary(setAgentCard, { card: { name } });
    await peer.until(({ event, card }) => event === "card" && (card as { name?: string }).name === name);
  }
});

interopTest(
  "startDaemon() brings a foreign peer's task to completed when the agent reports both steps",
  async (net) => {
    const task = await takeTask(net, "t1");
    assert.deepEqual([task.taskId, task.status, task.targetSkillId], ["t1", SUBMITTED, "echo"]);
    assert.equal(task.originatorPeerId, net.peer.peerId);
    await net.rpc.unary(updateTaskStatus, { taskId: "t1", status: WORKING });
    await net.rpc.unary(completeTask, { taskId: "t1", artifacts: [ARTIFACT] });
    await net.peer.untilStatus("t1", "COMPLETED");
    assert.deepEqual(net.peer.received("t1"), ["WORKING", "taskComplete"]);
    const { artifacts } = await net.peer.payload("t1", "taskComplete");
    assert.deepEqual(artifacts, [{
      artifactId: "a1",
      name: "answer",
      parts: [{ textPart: { text: "done" } }],
    }]);
  },
);

interopTest(
  "startDaemon() waits for the ACK of WORKING when a task completes from submitted",
  async (net) => {
    const { peer, rpc } = net;
    await takeTask(net, "held");
    await peer.command("hold_acks", { taskId: "held" });
    await rpc.unary(completeTask, { taskId: "held", artifacts: [ARTIFACT] });
    await peer.until(({ event, verdict }) => event === "envelope" && verdict === "taken");
    await takeTask(net, "other");
    await rpc.unary(completeTask, { taskId: "other", artifacts: [] });
    await peer.untilStatus("other", "COMPLETED");
    assert.deepEqual(peer.received("held"), ["WORKING"]);
    assert.equal(await peer.command("release_acks", { taskId: "held" }), 1);
    await peer.untilStatus("held", "COMPLETED");
    assert.deepEqual(peer.received("held"), ["WORKING", "taskComplete"]);
  },
);

interopTest("startDaemon() fails a foreign peer's task when nobody has worked on it", async (net) => {
  await takeTask(net, "t1");
  await net.rpc.unary(failTask, { taskId: "t1", errorMessage: "no paper" });
  await net.peer.untilStatus("t1", "FAILED");
  assert.deepEqual(net.peer.received("t1"), ["WORKING", "taskFail"]);
  assert.equal((await net.peer.payload("t1", "taskFail")).errorMessage, "no paper");
});

interopTest("startDaemon() rejects a foreign peer's task when nobody has worked on it", async (net) => {
  await takeTask(net, "t1");
  await net.rpc.unary(updateTaskStatus, { taskId: "t1", status: REJECTED });
  await net.peer.untilStatus("t1", "REJECTED");
  assert.deepEqual(net.peer.received("t1"), ["REJECTED"]);
});

interopTest(
  "startDaemon() ends a foreign peer's task as failed when it is rejected while working",
  async (net) => {
    await takeTask(net, "t1");
    await net.rpc.unary(updateTaskStatus, { taskId: "t1", status: WORKING });
    await net.rpc.unary(updateTaskStatus, { taskId: "t1", status: REJECTED });
    await net.peer.untilStatus("t1", "FAILED");
    assert.deepEqual(net.peer.received("t1"), ["WORKING", "REJECTED (illegal)", "taskFail"]);
  },
);

interopTest("startDaemon() leads a foreign peer through WORKING when input is needed", async (net) => {
  await takeTask(net, "t1");
  await net.rpc.unary(updateTaskStatus, {
    taskId: "t1",
    status: INPUT_REQUIRED,
    message: { parts: textParts("which one?") },
  });
  await net.rpc.unary(completeTask, { taskId: "t1", artifacts: [] });
  await net.peer.untilStatus("t1", "COMPLETED");
  assert.deepEqual(net.peer.received("t1"), ["WORKING", "INPUT_REQUIRED", "WORKING", "taskComplete"]);
});

interopTest("startDaemon() reports a foreign agent's work once when it comes in order", async (net) => {
  const { taskId, updates } = await giveTask(net);
  await deliverStatus(net, taskId, WORKING);
  await deliverCompletion(net, taskId);
  assert.deepEqual(await summary(updates), [[WORKING, 0], [COMPLETED, 1]]);
  assert.deepEqual(await stored(net, taskId), [COMPLETED, ["done"]]);
});

interopTest("startDaemon() takes a foreign agent's completion when WORKING never came", async (net) => {
  const { taskId, updates } = await giveTask(net);
  await deliverCompletion(net, taskId);
  assert.deepEqual(await summary(updates), [[COMPLETED, 1]]);
  assert.deepEqual(await stored(net, taskId), [COMPLETED, ["done"]]);
});

interopTest(
  "startDaemon() ignores a foreign agent's WORKING when it comes after the completion",
  async (net) => {
    const { taskId, updates } = await giveTask(net);
    await deliverCompletion(net, taskId);
    await deliverStatus(net, taskId, WORKING);
    assert.deepEqual(await summary(updates), [[COMPLETED, 1]]);
    assert.deepEqual(await stored(net, taskId), [COMPLETED, ["done"]]);
  },
);

interopTest("startDaemon() reports the reason when a foreign agent fails", async (net) => {
  const { taskId, updates } = await giveTask(net);
  await net.peer.deliver(net.ours, { case: "taskFail", value: { taskId, errorMessage: "no paper" } });
  assert.deepEqual(await summary(updates), [[FAILED, 0]]);
  assert.equal((await net.rpc.unary(getTask, { taskId })).task?.errorMessage, "no paper");
});

interopTest(
  "startDaemon() acknowledges a foreign peer's task again and runs it once when it is repeated",
  async (net) => {
    const { ours, peer, rpc } = net;
    const task = { taskId: "t1", message: { messageId: "m1", parts: textParts("once") } };
    const envelopeId = await peer.deliver(ours, { case: "sendTask", value: task });
    await peer.deliver(ours, { case: "sendTask", value: task }, envelopeId);
    assert.equal((await nextTask(net)).taskId, "t1");
    await rpc.unary(completeTask, { taskId: "t1", artifacts: [ARTIFACT] });
    await peer.untilStatus("t1", "COMPLETED");
    await peer.deliver(ours, { case: "sendTask", value: task }, envelopeId);
    assert.equal(peer.acksOf(envelopeId), 3);
    assert.equal((await takeTask(net, "t2")).taskId, "t2");
    assert.deepEqual(await stored(net, "t1"), [COMPLETED, ["done"]]);
  },
);

interopTest("startDaemon() acknowledges a foreign agent's result again when it is repeated", async (net) => {
  const { taskId, updates } = await giveTask(net);
  const envelopeId = await deliverCompletion(net, taskId);
  const repeated = { case: "taskComplete" as const, value: { taskId, artifacts: [ARTIFACT, ARTIFACT] } };
  await net.peer.deliver(net.ours, repeated, envelopeId);
  assert.equal(net.peer.acksOf(envelopeId), 2);
  assert.deepEqual(await summary(updates), [[COMPLETED, 1]]);
  assert.deepEqual(await stored(net, taskId), [COMPLETED, ["done"]]);
});

interopTest("startDaemon() leaves a task as it is when its sender reports a result", async (net) => {
  await takeTask(net, "t1");
  await deliverCompletion(net, "t1");
  assert.deepEqual(await stored(net, "t1"), [SUBMITTED, []]);
});

interopTest(
  "startDaemon() resets a foreign peer's stream and goes on when a frame is damaged or too long",
  async (net) => {
    const { ours, peer } = net;
    const sendBytes = (bytes: Uint8Array, fill = 0) =>
      peer.command("send_bytes", { to: ours, base64: bytes.toBase64(), fill });
    assert.equal(await sendBytes(header(3, 0xff, 0xff, 0xff)), "reset");
    assert.equal(await sendBytes(header(100, 1, 2, 3)), "reset");
    assert.equal(await sendBytes(header(MAX_FRAME_BYTES + 1), MAX_FRAME_BYTES + 1), "reset");
    assert.equal(await sendBytes(header(0)), "closed");
    assert.equal((await takeTask(net, "t1")).taskId, "t1");
  },
);

interopTest("startDaemon() takes a foreign peer's frame when it has exactly 16 MiB", async (net) => {
  const overhead = toBinary(A2AEnvelopeSchema, longEnvelope(MAX_FRAME_BYTES / 2)).length -
    MAX_FRAME_BYTES / 2;
  const whole = toBinary(A2AEnvelopeSchema, longEnvelope(MAX_FRAME_BYTES - overhead));
  assert.equal(whole.length, MAX_FRAME_BYTES);
  const sent = net.peer.command("send_bytes", {
    to: net.ours,
    base64: new Uint8Array([...header(whole.length), ...whole]).toBase64(),
  });
  assert.equal(await sent, "closed");
  assert.equal((await nextTask(net)).taskId, "long");
  await net.peer.until(({ event, of }) => event === "ack" && of === "e1");
});

interopTest("startDaemon() tells a foreign agent when its task is cancelled", async (net) => {
  const { taskId, updates } = await giveTask(net);
  await deliverStatus(net, taskId, WORKING);
  await net.rpc.unary(cancelTask, { taskId });
  await net.peer.untilStatus(taskId, "CANCELED");
  assert.deepEqual(net.peer.received(taskId), ["sendTask", "taskCancel"]);
  assert.deepEqual(await summary(updates), [[WORKING, 0], [CANCELED, 0]]);
});

interopTest("startDaemon() tells a foreign peer when our agent cancels its task", async (net) => {
  await takeTask(net, "t1");
  await net.rpc.unary(cancelTask, { taskId: "t1" });
  await net.peer.untilStatus("t1", "CANCELED");
  assert.deepEqual(net.peer.received("t1"), ["CANCELED"]);
});

interopTest("startDaemon() tells our agent when a foreign peer cancels its task", async (net) => {
  await takeTask(net, "t1");
  const updates = await subscribe(net, "t1");
  await net.peer.deliver(net.ours, { case: "taskCancel", value: { taskId: "t1" } });
  assert.deepEqual(await summary(updates), [[CANCELED, 0]]);
  await assert.rejects(net.rpc.unary(completeTask, { taskId: "t1" }), { code: "failed_precondition" });
});

function deliverStatus({ ours, peer }: InteropNet, taskId: string, status: TaskStatus): Promise<string> {
  return peer.deliver(ours, { case: "taskStatusUpdate", value: { taskId, status } });
}

function deliverCompletion({ ours, peer }: InteropNet, taskId: string): Promise<string> {
  return peer.deliver(ours, { case: "taskComplete", value: { taskId, artifacts: [ARTIFACT] } });
}

/** Status and number of artifacts of each update until the stream ends. */
async function summary(
  updates: Updates,
): Promise<[TaskStatus, number][]> {
  const all: [TaskStatus, number][] = [];
  for await (const { status, artifacts } of { [Symbol.asyncIterator]: () => updates }) {
    all.push([status, artifacts.length]);
  }
  return all;
}

/** Status and texts of the artifacts of a task as our daemon has it. */
async function stored({ rpc }: InteropNet, taskId: string): Promise<[TaskStatus | undefined, string[]]> {
  const { task } = await rpc.unary(getTask, { taskId });
  const parts = (task?.artifacts ?? []).flatMap((artifact) => artifact.parts);
  return [
    task?.status,
    parts.flatMap(({ content }) => content.case === "textPart" ? [content.value.text] : []),
  ];
}

/** A frame's length and the first bytes of its body. */
function header(length: number, ...body: number[]): Uint8Array {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, length);
  bytes.set(body, 4);
  return bytes;
}

function longEnvelope(chars: number): A2AEnvelope {
  const message = { messageId: "m1", parts: textParts("x".repeat(chars)) };
  return create(A2AEnvelopeSchema, {
    envelopeId: "e1",
    type: 1,
    payload: { case: "sendTask", value: { taskId: "long", message } },
  });
}
