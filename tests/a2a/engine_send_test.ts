import assert from "node:assert/strict";
import type { Task } from "../../a2a/mod.ts";
import { collectIds, EngineNet, type EngineNode, nextTask, textMessage } from "../support/engine_net.ts";

async function waiting(node: EngineNode): Promise<number> {
  return (await Array.fromAsync(node.kv.list(["outbox"]))).length;
}

/** A task of `a` that waits for input of its sender, at both sides. */
async function askedTask(net: EngineNet, a: EngineNode, b: EngineNode): Promise<Task> {
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required", message: textMessage("which?", "agent") });
  await net.settle();
  return await a.engine.getTask(taskId);
}

Deno.test("sendTask() queues for a peer that cannot be reached and delivers in order when it can", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) {
    const task = await a.engine.sendTask({ peerId: "b", message: textMessage(`${i}`) });
    assert.equal(task.status, "submitted");
    ids.push(task.taskId);
  }
  await net.pass(600_000, { steps: 10 });
  const b = await net.start("b");
  const stop = new AbortController();
  const { seen, done } = collectIds(b.engine.subscribeIncoming({ signal: stop.signal }));
  await net.pass(60_000);
  assert.deepEqual(seen, ids);
  assert.equal(await waiting(a), 0);
  stop.abort();
  await done;
});

Deno.test("sendTask() is not slowed by another peer that cannot be reached", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  for (let i = 0; i < 300; i++) await a.engine.sendTask({ peerId: "dead", message: textMessage("x") });
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  assert.equal((await b.engine.getTask(taskId)).status, "submitted");
});

Deno.test("sendTask() tries a dead peer less and less often", async () => {
  await using net = new EngineNet();
  let tries = 0;
  net.reachable = (_from, to) => to !== "b" || (tries++, false);
  const a = await net.start("a");
  await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.pass(3_600_000, { steps: 240 });
  assert.ok(tries > 50 && tries < 600, `${tries} looks within an hour`);
});

Deno.test("sendTask() with a further message goes on with a task that waits for input", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await askedTask(net, a, b);
  const stop = new AbortController();
  const { seen, done } = collectIds(b.engine.subscribeIncoming({ signal: stop.signal }));
  const message = textMessage("the red one");
  const request = { peerId: "b", taskId, message };
  const [first, again] = await Promise.all([a.engine.sendTask(request), a.engine.sendTask(request)]);
  assert.deepEqual([first.status, again.generation], ["working", first.generation]);
  await net.settle();
  const theirs = await b.engine.getTask(taskId);
  assert.deepEqual([theirs.status, theirs.messages.at(-1)?.messageId], ["working", message.messageId]);
  assert.equal(theirs.messages.length, 3);
  assert.deepEqual(seen, [taskId]);
  stop.abort();
  await done;
  await b.engine.completeTask(taskId, { artifacts: [] });
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
});

Deno.test("sendTask() refuses a further message for a task that does not wait for one", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  const request = { peerId: "b", taskId, message: textMessage("and") };
  await assert.rejects(a.engine.sendTask(request), { code: "failed_precondition" });
  await net.settle();
  await b.engine.failTask(taskId, "no");
  await net.settle();
  await assert.rejects(a.engine.sendTask(request), { code: "failed_precondition" });
});

Deno.test("sendTask() brings the answer although a report arrives while it is lost on its way", async () => {
  await using net = new EngineNet();
  net.legacy.add("b");
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await askedTask(net, a, b);
  net.fate = (from) => from === "a" ? "lose" : "pass";
  const message = textMessage("the red one");
  await a.engine.sendTask({ peerId: "b", taskId, message });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "working", message: textMessage("still here", "agent") });
  await net.settle();
  net.fate = () => "pass";
  await net.pass(60_000);
  await net.pass(60_000);
  const theirs = await b.engine.getTask(taskId);
  assert.ok(theirs.messages.some(({ messageId }) => messageId === message.messageId));
});

Deno.test("sendTask() is resource_exhausted when too much waits, however much is sent at once", async () => {
  await using net = new EngineNet();
  const options = { delivery: { room: { maxPerPeer: 3 } } };
  const a = await net.start("a", options);
  const message = textMessage("hi");
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => a.engine.sendTask({ peerId: "b", message, taskId: `t${i}` })),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 3);
  await assert.rejects(a.engine.sendTask({ peerId: "b", message }), { code: "resource_exhausted" });
  assert.equal((await a.engine.sendTask({ peerId: "b", message, taskId: "t0" })).taskId, "t0");
  await net.stop("a");
  const again = await net.start("a", { ...options, kv: a.kv });
  assert.equal((await again.engine.sendTask({ peerId: "b", message, taskId: "t0" })).taskId, "t0");
  await assert.rejects(again.engine.sendTask({ peerId: "b", message }), { code: "resource_exhausted" });
  await net.start("b");
  await net.pass(60_000);
  await again.engine.sendTask({ peerId: "b", message });
});

Deno.test("sendTask() gives its room back when the store takes nothing", async () => {
  await using net = new EngineNet();
  const a = await net.start("a", { delivery: { room: { maxPerPeer: 1 } } });
  const commit = a.kv.commit.bind(a.kv);
  a.kv.commit = () => Promise.reject(new Error("disk full"));
  await assert.rejects(a.engine.sendTask({ peerId: "b", message: textMessage("hi"), taskId: "t" }));
  await assert.rejects(a.engine.getTask("t"), { code: "not_found" });
  a.kv.commit = commit;
  assert.equal((await a.engine.sendTask({ peerId: "b", message: textMessage("hi") })).status, "submitted");
});

Deno.test("sendTask() sends what was written although the store said that it failed", async () => {
  for (const readable of [true, false]) {
    await using net = new EngineNet();
    const [a, b] = [await net.start("a"), await net.start("b")];
    const { commit, get } = { commit: a.kv.commit.bind(a.kv), get: a.kv.get.bind(a.kv) };
    a.kv.commit = async (operations) => {
      await commit(operations);
      throw new Error("the disk did not say whether it has it");
    };
    if (!readable) a.kv.get = () => Promise.reject(new Error("the disk is gone"));
    const sending = a.engine.sendTask({ peerId: "b", message: textMessage("hi"), taskId: "t" });
    if (readable) await sending;
    else await assert.rejects(sending);
    a.kv.commit = commit;
    a.kv.get = get;
    await net.pass(5_000);
    assert.equal((await b.engine.getTask("t")).status, "submitted");
    await b.engine.completeTask("t", { artifacts: [] });
    await net.settle();
    assert.equal((await a.engine.getTask("t")).status, "completed");
    await net.pass(60_000);
    assert.equal(await waiting(a), 0);
  }
});

Deno.test("receive() offers a task that was written although the store said that it failed", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { commit, get } = { commit: b.kv.commit.bind(b.kv), get: b.kv.get.bind(b.kv) };
  b.kv.commit = async (operations) => {
    await commit(operations);
    throw new Error("the disk did not say whether it has it");
  };
  b.kv.get = () => Promise.reject(new Error("the disk is gone"));
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  b.kv.commit = commit;
  b.kv.get = get;
  const offered = nextTask(b.engine.subscribeIncoming());
  await net.pass(5_000);
  assert.equal((await offered).taskId, taskId);
  assert.equal((await b.engine.listTasks({ pageSize: 10 })).tasks.length, 1);
});

Deno.test("updateTask() is aborted when the record was changed behind the engine's back", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const commit = b.kv.commit.bind(b.kv);
  b.kv.commit = () => Promise.resolve(undefined);
  await assert.rejects(b.engine.updateTask(taskId, { status: "working" }), { code: "aborted" });
  b.kv.commit = commit;
  await b.engine.updateTask(taskId, { status: "working" });
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "working");
});

Deno.test("sendTask() that expires ends as failed, also after a restart", async () => {
  await using net = new EngineNet();
  const a = await net.start("a", { envelopeTtlMs: 3_600_000 });
  const ids = [];
  for (let i = 0; i < 50; i++) {
    ids.push((await a.engine.sendTask({ peerId: "b", message: textMessage("hi") })).taskId);
  }
  await net.stop("a");
  net.clock.advance(3_600_001);
  const again = await net.start("a", { kv: a.kv });
  await net.pass(60_000);
  for (const taskId of ids) assert.equal((await again.engine.getTask(taskId)).status, "failed");
  // Each may have left before the restart: the peer is told that it is over.
  assert.equal(await waiting(again), ids.length);
});

Deno.test("sendTask() of an earlier id answers that task also after its deadline", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const request = {
    peerId: "b",
    message: textMessage("hi"),
    taskId: "t",
    deadlineMs: net.clock.now() + 1_000,
  };
  await a.engine.sendTask(request);
  await net.settle();
  await b.engine.completeTask("t", { artifacts: [] });
  await net.pass(2_000);
  assert.equal((await a.engine.sendTask(request)).status, "completed");
  await assert.rejects(a.engine.sendTask({ ...request, taskId: "u" }), { code: "deadline_exceeded" });
});
