import assert from "node:assert/strict";
import type { Artifact, Task, TaskUpdate } from "../../a2a/mod.ts";
import { EngineNet, textMessage } from "../support/engine_net.ts";

const artifact: Artifact = {
  artifactId: "a1",
  name: "answer",
  parts: [{
    content: { kind: "raw", data: new Uint8Array([1, 2, 3]), filename: "x.bin" },
    mediaType: "a/b",
    metadata: {},
  }],
};

/** The first task offered to `engine`. */
async function nextTask(tasks: AsyncIterable<Task>): Promise<Task> {
  for await (const task of tasks) return task;
  throw new Error("no task came");
}

async function statusesOf(updates: AsyncIterable<TaskUpdate>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { task } of updates) seen.push(task.status);
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
  const seen = statusesOf(await a.engine.subscribe(sent.taskId));
  await b.engine.updateTask(sent.taskId, "working");
  await net.settle();
  await b.engine.completeTask(sent.taskId, [artifact], textMessage("done", "agent"));
  await net.settle();
  assert.deepEqual(await seen, ["submitted", "working", "completed"]);
  const done = await a.engine.getTask(sent.taskId);
  assert.deepEqual(done.artifacts, [artifact]);
  assert.equal(done.messages.length, 2);
});

Deno.test("completeTask() straight from submitted reports working first", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.completeTask(taskId, [artifact]);
  await net.settle();
  const bodies = b.sent.map(({ body }) => body).filter((body) => body.type !== "ack");
  assert.deepEqual(bodies.map((body) => body.type === "status_update" ? body.status : body.type), [
    "working",
    "complete",
  ]);
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
});

Deno.test("Engine delivers once and in order when every acknowledgement is lost at first", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  let lost = 0;
  net.fate = (_from, _to, { body }) => body.type === "ack" && lost++ < 2 ? "lose" : "pass";
  const offered: string[] = [];
  const watching = (async () => {
    for await (const task of b.engine.subscribeIncoming()) offered.push(task.taskId);
  })().catch(() => {/* ended by the engine's end */});
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  for (let i = 0; i < 3; i++) {
    await net.settle();
    net.clock.advance(60_000);
  }
  await net.settle();
  await b.engine.completeTask(taskId, []);
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
  await b.engine.completeTask(taskId, [artifact]);
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
  await again.engine.updateTask(taskId, "working");
  again.engine.subscribeIncoming();
  const { taskId: second } = await a.engine.sendTask({ peerId: "b", message: textMessage("again") });
  assert.equal((await nextTask(again.engine.subscribeIncoming())).taskId, second);
});

Deno.test("subscribeIncoming() offers a task whose agent has gone to the next one", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  assert.equal((await nextTask(b.engine.subscribeIncoming())).status, "submitted");
  await b.engine.updateTask(taskId, "working");
  const again = await nextTask(b.engine.subscribeIncoming());
  assert.deepEqual([again.taskId, again.status], [taskId, "working"]);
});

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

Deno.test("Engine without a time limit keeps trying", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a", { envelopeTtlMs: 0 }), await net.start("b")];
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
  await b.engine.completeTask(taskId, [artifact]);
  await net.settle();
  const updates = await Array.fromAsync(await a.engine.subscribe(taskId));
  assert.deepEqual(updates.map(({ task }) => [task.status, task.artifacts]), [["completed", [artifact]]]);
});

Deno.test("cancelTask() by the originator ends the task at its agent", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const seen = statusesOf(await b.engine.subscribe(taskId));
  await a.engine.cancelTask(taskId);
  await net.settle();
  assert.deepEqual(await seen, ["submitted", "canceled"]);
  await assert.rejects(b.engine.completeTask(taskId, []), {
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
  await b.engine.updateTask(rejected, "rejected", textMessage("not my trade", "agent"));
  await b.engine.updateTask(late, "working");
  await b.engine.updateTask(late, "rejected", textMessage("too late", "agent"));
  await net.settle();
  const ends = await Promise.all([failed, rejected, late].map((id) => a.engine.getTask(id)));
  assert.deepEqual(ends.map((task) => [task.status, task.errorMessage]), [
    ["failed", "no paper"],
    ["rejected", "not my trade"],
    ["rejected", "too late"],
  ]);
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

Deno.test("sendTask() creates nothing when the peer cannot be reached, and refuses bad requests", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const message = textMessage("hi");
  await assert.rejects(a.engine.sendTask({ peerId: "nobody", message }), { code: "unavailable" });
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
    "Could not be delivered: b did not acknowledge it within 1 h",
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
  await b.engine.completeTask(ids[1]!, [artifact]);
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
    body.type === "status_update" && body.taskId === stuck.taskId ? "fail" : "pass";
  await b.engine.completeTask(stuck.taskId, [artifact]);
  await b.engine.completeTask(free.taskId, [artifact]);
  await net.settle();
  assert.equal((await a.engine.getTask(stuck.taskId)).status, "submitted");
  assert.equal((await a.engine.getTask(free.taskId)).status, "completed");
  net.fate = () => "pass";
  b.engine.peerConnected("a");
  await net.settle();
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

Deno.test("Engine takes a report on a task as the acknowledgement of the task", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.fate = (from, _to, { body }) => from === "b" && body.type === "ack" ? "lose" : "pass";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, "working");
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
  await b.engine.completeTask(taskId, [artifact], textMessage("done", "agent"));
  await net.settle();
  const [listed] = (await a.engine.listTasks({ pageSize: 1 })).tasks;
  assert.deepEqual(listed?.artifacts, [{ ...artifact, parts: [] }]);
  assert.equal(listed?.messages.length, 1);
  const content = listed?.messages[0]?.parts[0]?.content;
  assert.equal(content?.kind === "text" && content.text.length, 1000);
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

Deno.test("subscribeIncoming() does not offer a new task that another agent has taken up already", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const first = b.engine.subscribeIncoming();
  const taken = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  await net.settle();
  await b.engine.updateTask(taken.taskId, "working");
  const free = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  assert.equal((await nextTask(first)).taskId, free.taskId);
});
