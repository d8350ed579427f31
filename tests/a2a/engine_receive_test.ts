import assert from "node:assert/strict";
import { artifact, EngineNet, textMessage } from "../support/engine_net.ts";

Deno.test("receive() applies a repeated envelope once and acknowledges it each time", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const body = {
    type: "status_update",
    taskId,
    status: "working",
    message: textMessage("half", "agent"),
  } as const;
  const envelope = { envelopeId: "again", timestampMs: 0, body };
  await a.engine.receive("b", envelope);
  await b.engine.updateTask(taskId, "input_required");
  await net.settle();
  await a.engine.receive("b", envelope);
  const task = await a.engine.getTask(taskId);
  assert.deepEqual([task.status, task.messages.length], ["input_required", 2]);
  assert.equal(
    a.sent.filter(({ body }) => body.type === "ack" && body.acknowledgedEnvelopeId === "again").length,
    2,
  );
});

Deno.test("receive() keeps room for other peers when one has sent too many tasks", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { maxOpenInboundPerPeer: 2 })];
  const c = await net.start("c");
  for (let i = 0; i < 3; i++) await a.engine.sendTask({ peerId: "b", message: textMessage(`${i}`) });
  const { taskId } = await c.engine.sendTask({ peerId: "b", message: textMessage("honest") });
  await net.settle();
  assert.equal((await b.engine.listTasks({ pageSize: 10 })).tasks.length, 3);
  assert.equal((await b.engine.getTask(taskId)).peerId, "c");
});

Deno.test("receive() tells the sender of a task that it is refused, and does not acknowledge it before", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi"), contextId: "c" });
  await net.settle();
  const bad = {
    type: "send_task",
    taskId: "x",
    contextId: "",
    targetSkillId: "",
    metadata: {},
    message: undefined,
  } as const;
  const isAck = (id: string) =>
    b.sent.some(({ body }) => body.type === "ack" && body.acknowledgedEnvelopeId === id);
  net.fate = (from, _to, { body }) => from === "b" && body.type === "status_update" ? "fail" : "pass";
  await b.engine.receive("a", { envelopeId: "bad", timestampMs: 0, body: bad });
  assert.equal(isAck("bad"), false);
  net.fate = () => "pass";
  await b.engine.receive("a", { envelopeId: "bad", timestampMs: 0, body: bad });
  assert.equal(isAck("bad"), true);
  assert.equal((await a.engine.getTask(taskId)).status, "submitted");
});

Deno.test("receive() lets nobody but the assignee change a task, and nobody but the originator cancel it", async () => {
  await using net = new EngineNet();
  const [a, b, mallory] = [await net.start("a"), await net.start("b"), await net.start("mallory")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const forge = (to: typeof a, body: Parameters<typeof a.engine.receive>[1]["body"]) =>
    to.engine.receive(mallory.name, { envelopeId: crypto.randomUUID(), timestampMs: 0, body });
  await forge(a, { type: "complete", taskId, artifacts: [], message: undefined });
  await forge(a, { type: "fail", taskId, errorMessage: "haha", message: undefined });
  await forge(b, { type: "cancel", taskId });
  const stolen = {
    type: "send_task",
    taskId,
    contextId: "",
    targetSkillId: "",
    metadata: {},
    message: textMessage("x"),
  } as const;
  await forge(b, stolen);
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "submitted");
  const kept = await b.engine.getTask(taskId);
  assert.deepEqual([kept.status, kept.peerId], ["submitted", "a"]);
});

Deno.test("receive() ignores what comes after the end, and acknowledges it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.completeTask(taskId, [artifact]);
  await net.settle();
  const late = { type: "status_update", taskId, status: "working", message: undefined } as const;
  await a.engine.receive("b", { envelopeId: "late", timestampMs: 0, body: late });
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
  assert.ok(a.sent.some(({ body }) => body.type === "ack" && body.acknowledgedEnvelopeId === "late"));
});

Deno.test("receive() acknowledges nothing it cannot keep, so that the sender tries again", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { maxOpenInbound: 1 })];
  const first = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  await net.settle();
  const second = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  await net.settle();
  await assert.rejects(b.engine.getTask(second.taskId), { code: "not_found" });
  await b.engine.completeTask(first.taskId, []);
  await net.settle();
  net.clock.advance(5000);
  await net.settle();
  assert.equal((await b.engine.getTask(second.taskId)).status, "submitted");
});

Deno.test("receive() takes every envelope without an id, and keeps no overgrown one in mind", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  for (const envelopeId of ["", "", "x".repeat(1_000), "x".repeat(1_000)]) {
    const message = textMessage("progress", "agent");
    const body = { type: "status_update", taskId, status: "working", message } as const;
    await a.engine.receive(b.name, { envelopeId, timestampMs: 0, body });
  }
  assert.equal((await a.engine.getTask(taskId)).messages.length, 5);
});

Deno.test("receive() applies an envelope once that arrives twice at the same moment", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const body = {
    type: "status_update",
    taskId,
    status: "working",
    message: textMessage("half", "agent"),
  } as const;
  const envelope = { envelopeId: "twice", timestampMs: 0, body };
  await Promise.all([a.engine.receive(b.name, envelope), a.engine.receive(b.name, envelope)]);
  assert.equal((await a.engine.getTask(taskId)).messages.length, 2);
});
