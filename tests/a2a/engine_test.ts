import assert from "node:assert/strict";
import type { TaskUpdate } from "../../a2a/mod.ts";
import { artifact, collectIds, EngineNet, nextTask, textMessage } from "../support/engine_net.ts";

async function statusesOf(updates: AsyncIterable<TaskUpdate>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { status } of updates) seen.push(status);
  return seen;
}

Deno.test("Engine brings a task to its agent and the result back", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const incoming = nextTask(b.engine.subscribeIncoming());
  const metadata = { trace: "1" };
  const sent = await a.engine.sendTask({
    peerId: "b",
    message: textMessage("hi"),
    targetSkillId: "echo",
    metadata,
  });
  assert.equal(sent.status, "submitted");
  const received = await incoming;
  assert.deepEqual(
    [received.taskId, received.contextId, received.peerId, received.targetSkillId, received.metadata],
    [sent.taskId, sent.contextId, "a", "echo", metadata],
  );
  const seen = statusesOf(a.engine.subscribe(sent.taskId));
  await b.engine.updateTask(sent.taskId, { status: "working" });
  await net.settle();
  await b.engine.completeTask(sent.taskId, { artifacts: [artifact], message: textMessage("done", "agent") });
  await net.settle();
  assert.deepEqual(await seen, ["submitted", "working", "completed"]);
  const done = await a.engine.getTask(sent.taskId);
  assert.deepEqual(done.artifacts, [artifact]);
  assert.equal(done.messages.length, 2);
});

Deno.test("completeTask() straight from submitted reports working first to a 1.0 peer", async () => {
  await using net = new EngineNet();
  net.legacy.add("a");
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.completeTask(taskId, { artifacts: [artifact] });
  await net.settle();
  const bodies = b.sent.map(({ body }) => body);
  assert.deepEqual(bodies.map((body) => body.type === "status_update" ? body.status : body.type), [
    "working",
    "complete",
  ]);
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
});

Deno.test("Engine delivers once and in order when every answer is lost at first", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  let lost = 0;
  net.fate = (from) => from === "a" && lost++ < 2 ? "lose_answer" : "pass";
  const offered: string[] = [];
  const watching = (async () => {
    for await (const { task } of b.engine.subscribeIncoming()) offered.push(task.taskId);
  })().catch(() => {/* ended by the engine's end */});
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  for (let i = 0; i < 3; i++) {
    await net.settle();
    await net.cut();
    await net.pass(60_000);
  }
  await b.engine.completeTask(taskId, { artifacts: [] });
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
  assert.deepEqual(offered, [taskId]);
  assert.equal(a.sent.filter(({ body }) => body.type === "send_task").length, 3);
  await b.engine[Symbol.asyncDispose]();
  await watching;
});

Deno.test("Engine sends what an earlier run left unacknowledged", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.reachable = () => false;
  await b.engine.completeTask(taskId, { artifacts: [artifact] });
  await net.settle();
  await b.engine[Symbol.asyncDispose]();
  net.reachable = () => true;
  await net.start("b", { kv: b.kv });
  await net.settle();
  const task = await a.engine.getTask(taskId);
  assert.deepEqual([task.status, task.artifacts], ["completed", [artifact]]);
});

Deno.test("subscribeIncoming() replays a task nobody has taken, also after a restart", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine[Symbol.asyncDispose]();
  const again = await net.start("b", { kv: b.kv });
  assert.equal((await nextTask(again.engine.subscribeIncoming())).taskId, taskId);
});

Deno.test("subscribeIncoming() offers a task whose agent has gone to the next one", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  assert.equal((await nextTask(b.engine.subscribeIncoming())).status, "submitted");
  await b.engine.updateTask(taskId, { status: "working" });
  const again = await nextTask(b.engine.subscribeIncoming());
  assert.deepEqual([again.taskId, again.status], [taskId, "working"]);
});

Deno.test("Engine without a time limit keeps trying", async () => {
  await using net = new EngineNet();
  const options = { envelopeTtlMs: 0, idleTimeoutMs: 365 * 24 * 3_600_000 };
  const [a] = [await net.start("a", options), await net.start("b")];
  net.fate = () => "fail";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  for (let i = 0; i < 5; i++) {
    await net.settle();
    net.clock.advance(7 * 24 * 3_600_000);
  }
  assert.equal((await a.engine.getTask(taskId)).status, "submitted");
});

Deno.test("Engine removes delivered envelopes once the store takes it again", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const commit = a.kv.commit.bind(a.kv);
  let full = true;
  a.kv.commit = (operations) =>
    full && operations.every(({ op }) => op === "delete")
      ? Promise.reject(new Error("disk full"))
      : commit(operations);
  await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const waiting = async () => (await Array.fromAsync(a.kv.list(["outbox"]))).length;
  assert.equal(await waiting(), 1);
  full = false;
  net.clock.advance(60_000);
  await net.settle();
  assert.equal(await waiting(), 0);
});

Deno.test("subscribe() replays the end with its artifacts to a late subscriber and then ends", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.completeTask(taskId, { artifacts: [artifact] });
  await net.settle();
  const updates = await Array.fromAsync(a.engine.subscribe(taskId));
  assert.deepEqual(updates.map(({ status, artifacts }) => [status, artifacts]), [["completed", [artifact]]]);
});

Deno.test("cancelTask() by the originator ends the task at its agent", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const seen = statusesOf(b.engine.subscribe(taskId));
  await a.engine.cancelTask(taskId);
  await net.settle();
  assert.deepEqual(await seen, ["submitted", "canceled"]);
  await assert.rejects(b.engine.completeTask(taskId, { artifacts: [] }), {
    code: "failed_precondition",
    message: /it has ended/,
  });
});

Deno.test("cancelTask() by the agent ends the task at its originator", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.cancelTask(taskId);
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "canceled");
});

Deno.test("failTask() and a rejection carry their reason to the originator", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const send = async () => {
    const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
    await net.settle();
    return taskId;
  };
  const [failed, rejected, late] = [await send(), await send(), await send()];
  await b.engine.failTask(failed, "no paper");
  await b.engine.updateTask(rejected, { status: "rejected", message: textMessage("not my trade", "agent") });
  await b.engine.updateTask(late, { status: "working" });
  await b.engine.updateTask(late, { status: "rejected", message: textMessage("too late", "agent") });
  await net.settle();
  const ends = await Promise.all([failed, rejected, late].map((id) => a.engine.getTask(id)));
  assert.deepEqual(ends.map((task) => [task.status, task.errorMessage]), [
    ["failed", "no paper"],
    ["rejected", "not my trade"],
    ["rejected", "too late"],
  ]);
});

Deno.test("sendTask() with the id of an earlier task answers that task and sends nothing", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b"), await net.start("c")];
  const request = { peerId: "b", message: textMessage("hi"), taskId: "order-1" };
  const [first, second] = await Promise.all([a.engine.sendTask(request), a.engine.sendTask(request)]);
  assert.deepEqual(second, first);
  await net.settle();
  assert.equal(a.sent.filter(({ body }) => body.type === "send_task").length, 1);
  await assert.rejects(a.engine.sendTask({ ...request, peerId: "c" }), { code: "already_exists" });
});

Deno.test("sendTask() refuses bad requests and creates nothing then", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const message = textMessage("hi");
  await assert.rejects(a.engine.sendTask({ peerId: "a", message }), {
    code: "invalid_argument",
    message: /itself/,
  });
  await assert.rejects(a.engine.sendTask({ peerId: "b", message: { ...message, parts: [] } }), {
    code: "invalid_argument",
  });
  await assert.rejects(a.engine.sendTask({ peerId: "b", message, taskId: "a b" }), {
    code: "invalid_argument",
  });
  assert.deepEqual((await a.engine.listTasks({ pageSize: 10 })).tasks, []);
});

Deno.test("Engine fails a task that could not be delivered in time", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a", { envelopeTtlMs: 3_600_000 }), await net.start("b")];
  net.fate = () => "fail";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  for (let i = 0; i < 64 && (await a.engine.getTask(taskId)).status === "submitted"; i++) {
    await net.settle();
    net.clock.advance(60_000);
  }
  await net.settle();
  const task = await a.engine.getTask(taskId);
  assert.deepEqual([task.status, task.errorMessage], [
    "failed",
    "Could not be delivered: b did not acknowledge it in time",
  ]);
});

Deno.test("listTasks() pages newest first and filters", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    net.clock.advance(1000);
    ids.unshift((await a.engine.sendTask({ peerId: "b", message: textMessage(`${i}`) })).taskId);
  }
  await net.settle();
  await b.engine.completeTask(ids[1]!, { artifacts: [artifact] });
  await net.settle();
  const first = await a.engine.listTasks({ pageSize: 3 });
  const second = await a.engine.listTasks({ pageSize: 3, pageToken: first.nextPageToken });
  assert.deepEqual([...first.tasks, ...second.tasks].map((task) => task.taskId), ids);
  assert.equal(second.nextPageToken, "");
  const completed = await a.engine.listTasks({ pageSize: 3, statuses: ["completed"] });
  assert.deepEqual(completed.tasks.map((task) => task.taskId), [ids[1]]);
  assert.deepEqual((await a.engine.listTasks({ pageSize: 3, direction: "inbound" })).tasks, []);
  await assert.rejects(a.engine.listTasks({ pageSize: 3, pageToken: "?" }), { code: "invalid_argument" });
});

Deno.test("Engine keeps the order of a task's envelopes and lets other tasks pass one that is stuck", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const stuck = await a.engine.sendTask({ peerId: "b", message: textMessage("stuck") });
  const free = await a.engine.sendTask({ peerId: "b", message: textMessage("free") });
  await net.settle();
  net.fate = (_from, _to, { body }) =>
    body.type === "status_update" && body.taskId === stuck.taskId ? "lose" : "pass";
  await b.engine.updateTask(stuck.taskId, { status: "working" });
  await b.engine.completeTask(stuck.taskId, { artifacts: [artifact] });
  await b.engine.completeTask(free.taskId, { artifacts: [artifact] });
  await net.settle();
  assert.equal((await a.engine.getTask(stuck.taskId)).status, "submitted");
  assert.equal((await a.engine.getTask(free.taskId)).status, "completed");
  net.fate = () => "pass";
  await net.cut();
  await net.pass(1000);
  assert.equal((await a.engine.getTask(stuck.taskId)).status, "completed");
});

Deno.test("Engine delivers a backlog larger than it holds in memory, each task once", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.fate = () => "fail";
  const ids = new Set<string>();
  for (let i = 0; i < 400; i++) {
    ids.add((await a.engine.sendTask({ peerId: "b", message: textMessage("x") })).taskId);
  }
  net.fate = () => "pass";
  a.engine.peerConnected("b");
  await net.settle();
  const received = await b.engine.listTasks({ pageSize: 1000 });
  assert.deepEqual(new Set(received.tasks.map((task) => task.taskId)), ids);
  assert.equal(received.tasks.length, 400);
});

Deno.test("Engine takes a report of a 1.0 peer on a task as its answer to the task", async () => {
  await using net = new EngineNet();
  net.legacy.add("b");
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.fate = (_from, _to, { body }) => body.type === "send_task" ? "lose_answer" : "pass";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "working" });
  await net.settle();
  net.clock.advance(60_000);
  await net.settle();
  assert.equal(a.sent.filter(({ body }) => body.type === "send_task").length, 1);
});

Deno.test("listTasks() gives large tasks in short", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("x".repeat(100_000)) });
  await net.settle();
  await b.engine.completeTask(taskId, { artifacts: [artifact], message: textMessage("done", "agent") });
  await net.settle();
  const [listed] = (await a.engine.listTasks({ pageSize: 1 })).tasks;
  assert.deepEqual(listed?.artifacts, [{ ...artifact, parts: [] }]);
  assert.equal(listed?.messages.length, 1);
  const content = listed?.messages[0]?.parts[0]?.content;
  assert.equal(content?.kind === "text" && content.text.length, 1000);
});

Deno.test("subscribeIncoming() does not offer a new task that another agent has taken up already", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const others = new AbortController();
  const held = collectIds(b.engine.subscribeIncoming({ signal: others.signal }));
  const taken = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  await net.settle();
  await b.engine.updateTask(taken.taskId, { status: "working" });
  const free = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  assert.equal((await nextTask(b.engine.subscribeIncoming())).taskId, free.taskId);
  others.abort();
  await held.done;
  assert.deepEqual(held.seen, [taken.taskId, free.taskId]);
});
