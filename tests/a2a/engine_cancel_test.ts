import assert from "node:assert/strict";
import { EngineNet, receiveFrom, sendTaskBody, textMessage } from "../support/engine_net.ts";

Deno.test("cancelTask() ends a task at once that has not left, and takes it out of the queue", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const first = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  const second = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  await net.settle();
  assert.equal((await a.engine.cancelTask(first.taskId)).status, "canceled");
  assert.equal((await Array.fromAsync(a.kv.list(["outbox"]))).length, 1);
  const b = await net.start("b");
  await net.pass(60_000);
  await assert.rejects(b.engine.getTask(first.taskId), { code: "not_found" });
  assert.equal((await b.engine.getTask(second.taskId)).status, "submitted");
  await assert.rejects(a.engine.cancelTask(first.taskId), { code: "failed_precondition" });
});

Deno.test("cancelTask() asks the assignee of a task that may have arrived, who ends it at both sides", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.reachable = () => false;
  const asked = await a.engine.cancelTask(taskId);
  assert.deepEqual([asked.status, asked.cancelRequested], ["submitted", true]);
  await a.engine.cancelTask(taskId);
  net.reachable = () => true;
  await net.pass(60_000);
  for (const { engine } of [a, b]) {
    const { status, cancelRequested } = await engine.getTask(taskId);
    assert.deepEqual([status, cancelRequested], ["canceled", false]);
  }
  assert.equal(a.sent.filter(({ body }) => body.type === "cancel").length, 1);
});

Deno.test("cancelTask() that meets a result ends both sides as the assignee decided", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await Promise.all([b.engine.completeTask(taskId, { artifacts: [] }), a.engine.cancelTask(taskId)]);
  await net.pass(60_000);
  const ends = await Promise.all([a, b].map(({ engine }) => engine.getTask(taskId)));
  assert.deepEqual(ends.map(({ status }) => status), ["completed", "completed"]);
});

Deno.test("cancelTask() while the task is being sent ends it equally at both sides", async () => {
  for (let turns = 0; turns < 12; turns++) {
    await using net = new EngineNet();
    const [a, b] = [await net.start("a"), await net.start("b")];
    const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    await a.engine.cancelTask(taskId);
    await net.pass(60_000);
    assert.equal((await a.engine.getTask(taskId)).status, "canceled");
    const theirs = await b.engine.getTask(taskId).catch(() => undefined);
    assert.ok(theirs === undefined || theirs.status === "canceled");
    assert.equal((await Array.fromAsync(a.kv.list(["outbox"]))).length, 0);
  }
});

Deno.test("cancelTask() gives the task back to the queue when the store takes nothing", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const commit = a.kv.commit.bind(a.kv);
  a.kv.commit = () => Promise.reject(new Error("disk full"));
  await assert.rejects(a.engine.cancelTask(taskId));
  a.kv.commit = commit;
  const b = await net.start("b");
  await net.pass(60_000);
  assert.equal((await b.engine.getTask(taskId)).status, "submitted");
});

Deno.test("cancelTask() of a task of an earlier run asks the assignee: it may have arrived", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.stop("a");
  const again = await net.start("a", { kv: a.kv });
  assert.equal((await again.engine.cancelTask(taskId)).cancelRequested, true);
  const b = await net.start("b");
  await net.pass(60_000);
  const ends = await Promise.all([again, b].map(({ engine }) => engine.getTask(taskId)));
  assert.deepEqual(ends.map(({ status }) => status), ["canceled", "canceled"]);
});

Deno.test("cancelTask() ends a task here that its assignee does not know", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  await net.start("b");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await net.stop("b");
  await net.start("b"); // over an empty store
  await a.engine.cancelTask(taskId);
  await net.pass(60_000);
  assert.equal((await a.engine.getTask(taskId)).status, "canceled");
});

Deno.test("cancelTask() ends a task of a 1.0 peer a second after its acknowledgement, unless a result comes", async () => {
  await using net = new EngineNet();
  net.legacy.add("b");
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.fate = (from) => from === "b" ? "fail" : "pass";
  const silent = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  const done = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  await net.settle();
  for (const { taskId } of [silent, done]) await a.engine.cancelTask(taskId);
  await net.settle();
  assert.equal((await a.engine.getTask(silent.taskId)).status, "submitted");
  const complete = { type: "complete", taskId: done.taskId, artifacts: [], message: undefined } as const;
  await receiveFrom(a, "b", complete);
  await net.pass(1_000);
  assert.equal((await a.engine.getTask(silent.taskId)).status, "canceled");
  assert.equal((await a.engine.getTask(done.taskId)).status, "completed");
  assert.equal((await b.engine.getTask(silent.taskId)).status, "canceled");
});

Deno.test("cancelTask() of a task of a 1.0 peer ends it although this node stops in between", async () => {
  await using net = new EngineNet();
  net.legacy.add("b");
  const a = await net.start("a");
  await net.start("b");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.fate = (from) => from === "b" ? "lose" : "pass";
  await a.engine.cancelTask(taskId);
  await net.settle();
  await net.stop("a");
  const again = await net.start("a", { kv: a.kv });
  assert.equal((await again.engine.getTask(taskId)).status, "submitted");
  await net.settle();
  await net.pass(1_000);
  assert.equal((await again.engine.getTask(taskId)).status, "canceled");
});

Deno.test("receive() takes a cancellation that comes twice or too late, and applies it once", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await receiveFrom(b, "a", sendTaskBody("t"));
  const cancel = { type: "cancel", taskId: "t", status: "failed", reason: "too late" } as const;
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await receiveFrom(b, "a", cancel, { envelopeId: "e" }), { outcome: "taken" });
  }
  const task = await b.engine.getTask("t");
  assert.deepEqual([task.status, task.errorMessage, task.generation], ["failed", "too late", 2]);
});
