import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import {
  artifact,
  collectIds,
  EngineNet,
  receiveFrom,
  sendTaskBody,
  textMessage,
} from "../support/engine_net.ts";

const TAKEN = { outcome: "taken" };

Deno.test("receive() applies a repeated envelope once and takes it each time", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const message = textMessage("half", "agent");
  const body = { type: "status_update", taskId, status: "working", message } as const;
  assert.deepEqual(await receiveFrom(a, "b", body, { envelopeId: "again" }), TAKEN);
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  assert.deepEqual(await receiveFrom(a, "b", body, { envelopeId: "again" }), TAKEN);
  const task = await a.engine.getTask(taskId);
  assert.deepEqual([task.status, task.messages.length], ["input_required", 2]);
});

Deno.test("receive() knows a repeated envelope also after a restart", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const body = { type: "status_update", taskId, status: "working", message: undefined } as const;
  await receiveFrom(a, "b", body, { envelopeId: "again" });
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  await net.stop("a");
  const again = await net.start("a", { kv: a.kv });
  assert.deepEqual(await receiveFrom(again, "b", body, { envelopeId: "again" }), TAKEN);
  assert.equal((await again.engine.getTask(taskId)).status, "input_required");
});

Deno.test("receive() keeps room for other peers when one has sent too many tasks", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { perPeer: 2 } })];
  const c = await net.start("c");
  for (let i = 0; i < 3; i++) await a.engine.sendTask({ peerId: "b", message: textMessage(`${i}`) });
  const { taskId } = await c.engine.sendTask({ peerId: "b", message: textMessage("honest") });
  await net.settle();
  assert.equal((await b.engine.listTasks({ pageSize: 10 })).tasks.length, 3);
  assert.equal((await b.engine.getTask(taskId)).peerId, "c");
});

Deno.test("receive() takes no more than its bound when all tasks come at once", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { perPeer: 3 } });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => receiveFrom(b, "a", sendTaskBody(`t${i}`))),
  );
  assert.equal(answers.filter(({ outcome }) => outcome === "taken").length, 3);
  assert.equal(answers.filter(({ outcome }) => outcome === "busy").length, 17);
  assert.equal((await b.engine.listTasks({ pageSize: 100 })).tasks.length, 3);
});

Deno.test("receive() takes the repetition of a task while it has no room for a new one", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { perPeer: 1 } });
  const body = sendTaskBody("t1");
  await receiveFrom(b, "a", body);
  await net.stop("b");
  const again = await net.start("b", { kv: b.kv, offers: { perPeer: 1 } });
  assert.deepEqual(await receiveFrom(again, "a", body), TAKEN);
  assert.equal((await receiveFrom(again, "a", sendTaskBody("t2"))).outcome, "busy");
});

Deno.test("receive() frees the room of a task that could not be stored", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { perPeer: 1 } });
  const commit = b.kv.commit.bind(b.kv);
  b.kv.commit = () => Promise.reject(new Error("disk full"));
  assert.equal((await receiveFrom(b, "a", sendTaskBody("t1"))).outcome, "busy");
  b.kv.commit = commit;
  assert.deepEqual(await receiveFrom(b, "a", sendTaskBody("t2")), TAKEN);
});

Deno.test("receive() answers a task that makes no sense with the reason, at which its sender ends it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const answer = await receiveFrom(b, "a", sendTaskBody("x", { message: undefined }));
  assert.equal(answer.outcome, "refused");
  await receiveFrom(b, "c", sendTaskBody("taken-id"));
  const message = textMessage("hi");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message, taskId: "taken-id" });
  await net.settle();
  const task = await a.engine.getTask(taskId);
  assert.deepEqual([task.status, task.errorMessage], ["rejected", "the task id belongs to another task"]);
});

Deno.test("receive() lets nobody but the assignee change a task, and nobody but the originator cancel it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const cancel = { type: "cancel", taskId, status: "canceled", reason: "" } as const;
  const complete = { type: "complete", taskId, artifacts: [], message: undefined } as const;
  const fail = { type: "fail", taskId, errorMessage: "haha", message: undefined } as const;
  const working = { type: "status_update", taskId, status: "working", message: undefined } as const;
  const response = { type: "get_task_response", taskId, task: undefined } as const;
  const answers = [
    await receiveFrom(a, "mallory", complete),
    await receiveFrom(a, "mallory", fail),
    await receiveFrom(a, "mallory", working),
    await receiveFrom(a, "mallory", response),
    await receiveFrom(b, "mallory", cancel),
    await receiveFrom(b, "mallory", sendTaskBody(taskId)),
    await receiveFrom(a, "b", cancel), // the assignee of a sent task does not call it off
    await receiveFrom(b, "a", complete), // nor does its originator report on it
    await receiveFrom(a, "b", sendTaskBody(taskId)),
  ];
  assert.deepEqual([...new Set(answers.map(({ outcome }) => outcome))], ["refused"]);
  const refusals = [...a.logged, ...b.logged].filter((line) => line.includes("Envelope refused"));
  assert.equal(refusals.length, answers.length);
  assert.ok(refusals[0]?.includes("mallory") && refusals[0].includes(taskId));
  assert.equal((await a.engine.getTask(taskId)).status, "submitted");
  const kept = await b.engine.getTask(taskId);
  assert.deepEqual([kept.status, kept.peerId, kept.messages.length], ["submitted", "a", 1]);
});

Deno.test("receive() takes what comes after the end and ignores it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.completeTask(taskId, { artifacts: [artifact] });
  await net.settle();
  const late = { type: "status_update", taskId, status: "working", message: undefined } as const;
  assert.deepEqual(await receiveFrom(a, "b", late), TAKEN);
  assert.deepEqual(await receiveFrom(b, "a", sendTaskBody(taskId)), TAKEN);
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
  assert.equal((await b.engine.getTask(taskId)).status, "completed");
});

Deno.test("receive() is busy while it has no room, so that the sender tries again", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { total: 1 } })];
  const first = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  await net.settle();
  const second = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  await net.settle();
  await assert.rejects(b.engine.getTask(second.taskId), { code: "not_found" });
  await b.engine.completeTask(first.taskId, { artifacts: [] });
  await net.pass(5000);
  assert.equal((await b.engine.getTask(second.taskId)).status, "submitted");
});

Deno.test("receive() takes every envelope without an id, and keeps no overgrown one in mind", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  for (const envelopeId of ["", "", "x".repeat(1_000), "x".repeat(1_000)]) {
    const message = textMessage("progress", "agent");
    await receiveFrom(a, "b", { type: "status_update", taskId, status: "working", message }, { envelopeId });
  }
  assert.equal((await a.engine.getTask(taskId)).messages.length, 5);
});

Deno.test("receive() applies an envelope once that arrives twice at the same moment", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const message = textMessage("half", "agent");
  const body = { type: "status_update", taskId, status: "working", message } as const;
  const options = { envelopeId: "twice" };
  await Promise.all([receiveFrom(a, "b", body, options), receiveFrom(a, "b", body, options)]);
  assert.equal((await a.engine.getTask(taskId)).messages.length, 2);
});

Deno.test("receive() offers a task once that arrives twice at the same moment", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const stop = new AbortController();
  const { seen, done } = collectIds(b.engine.subscribeIncoming({ signal: stop.signal }));
  const body = sendTaskBody("t1");
  await Promise.all([receiveFrom(b, "a", body), receiveFrom(b, "a", body)]);
  await net.settle();
  stop.abort();
  await done;
  assert.deepEqual(seen, ["t1"]);
});

Deno.test("receive() ends a task whose messages are more than a record holds, instead of being busy for ever", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  const commit = b.kv.commit.bind(b.kv);
  b.kv.commit = (operations) =>
    operations.some((one) => one.op === "set" && one.value.length > 10_000)
      ? Promise.reject(new CodedError("resource_exhausted", "Cannot store: too many bytes"))
      : commit(operations);
  await a.engine.sendTask({ peerId: "b", taskId, message: textMessage("x".repeat(20_000)) });
  await net.settle();
  const ends = await Promise.all([a, b].map(({ engine }) => engine.getTask(taskId)));
  assert.deepEqual(ends.map(({ status }) => status), ["failed", "failed"]);
  assert.match(ends[0]?.errorMessage ?? "", /more than a task can keep/);
});

Deno.test("receive() never throws, and sets a damaged record aside that others do not have to wait for", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await b.kv.commit([{ op: "set", key: ["task", "t"], value: new Uint8Array([255, 255, 255]) }]);
  const cancel = { type: "cancel", taskId: "t", status: "canceled", reason: "" } as const;
  assert.equal((await receiveFrom(b, "a", cancel)).outcome, "busy");
  assert.equal((await receiveFrom(b, "a", cancel)).outcome, "refused");
  assert.equal((await receiveFrom(b, "a", { ...cancel, taskId: "" })).outcome, "refused");
});

Deno.test("receive() keeps the order of a peer's tasks while there is no room for them", async () => {
  await using net = new EngineNet();
  net.window = 64;
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { perPeer: 3 } })];
  const taskIds = Array.from({ length: 30 }, (_, i) => `t${i}`);
  for (const taskId of taskIds) {
    await a.engine.sendTask({ peerId: "b", taskId, message: textMessage(taskId) });
  }
  const offered: string[] = [];
  const working = (async () => {
    for await (const { task } of b.engine.subscribeIncoming()) {
      offered.push(task.taskId);
      await b.engine.completeTask(task.taskId, { artifacts: [] });
    }
  })().catch(() => {/* ended by the engine's end */});
  for (let i = 0; i < 60 && offered.length < taskIds.length; i++) await net.pass(4_000);
  assert.deepEqual(offered, taskIds);
  await net.stop("b");
  await working;
});

Deno.test("receive() refuses messages that nobody asked for, and takes one answer to each question, even a late one", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await receiveFrom(b, "a", sendTaskBody("t"));
  const say = async (role: "user" | "agent" = "user") =>
    (await receiveFrom(b, "a", sendTaskBody("t", { message: textMessage("more", role) }))).outcome;
  assert.equal(await say(), "refused");
  await b.engine.updateTask("t", { status: "input_required" });
  assert.deepEqual([await say("agent"), await say("agent"), await say()], ["taken", "refused", "refused"]);
  await b.engine.updateTask("t", { status: "input_required" });
  await b.engine.updateTask("t", { status: "working" });
  assert.deepEqual([await say(), await say()], ["taken", "refused"]);
  assert.equal((await b.engine.getTask("t")).messages.length, 3);
});

Deno.test("receive() keeps no more messages of a peer than its bounds", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { bytesPerPeer: 1_000_000 } })];
  const large = () => textMessage("x".repeat(600_000), "agent");
  assert.equal((await receiveFrom(b, "c", sendTaskBody("t1", { message: large() }))).outcome, "taken");
  assert.equal((await receiveFrom(b, "c", sendTaskBody("t2", { message: large() }))).outcome, "busy");
  assert.equal((await receiveFrom(b, "d", sendTaskBody("t3", { message: large() }))).outcome, "taken");
  await b.engine.cancelTask("t1");
  assert.equal((await receiveFrom(b, "c", sendTaskBody("t2", { message: large() }))).outcome, "taken");
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const huge = "x".repeat(11_000_000);
  const outcomes = [];
  for (let i = 0; i < 2; i++) {
    const message = textMessage(huge, "agent");
    outcomes.push(
      (await receiveFrom(a, "b", { type: "status_update", taskId, status: "working", message })).outcome,
    );
  }
  assert.deepEqual(outcomes, ["taken", "refused"]);
});

Deno.test("receive() keeps no more messages of all peers than its bounds", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { bytesTotal: 1_000_000 } });
  const receiveLarge = async (peerId: string) => {
    const message = textMessage("x".repeat(600_000), "agent");
    return (await receiveFrom(b, peerId, sendTaskBody(`of-${peerId}`, { message }))).outcome;
  };
  assert.deepEqual([await receiveLarge("c"), await receiveLarge("d")], ["taken", "busy"]);
  await b.engine.completeTask("of-c", { artifacts: [] });
  assert.deepEqual([await receiveLarge("d"), await receiveLarge("e")], ["taken", "busy"]);
});

Deno.test("receive() refuses progress that has a large record written over and over", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const message = textMessage("x".repeat(15_000_000));
  const { taskId } = await a.engine.sendTask({ peerId: "b", message });
  await net.settle();
  let taken = 0;
  for (let i = 0; i < 100; i++) {
    const body = {
      type: "status_update",
      taskId,
      status: "working",
      message: textMessage("x", "agent"),
    } as const;
    if ((await receiveFrom(a, "b", body)).outcome === "taken") taken++;
  }
  assert.ok(taken > 10 && taken < 80, `${taken}`);
});

Deno.test("receive() ends a task that comes too late in the step that makes it, and refuses an impossible deadline", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const stop = new AbortController();
  const { seen, done } = collectIds(b.engine.subscribeIncoming({ signal: stop.signal }));
  assert.deepEqual(
    await receiveFrom(b, "a", sendTaskBody("late", { deadlineMs: net.clock.now() - 1 })),
    TAKEN,
  );
  for (const deadlineMs of [9.3e21, -9.3e21, NaN]) {
    assert.equal((await receiveFrom(b, "a", sendTaskBody("odd", { deadlineMs }))).outcome, "refused");
  }
  await net.settle();
  const { status, errorMessage } = await b.engine.getTask("late");
  assert.deepEqual([status, errorMessage], ["failed", "The deadline of the task is over"]);
  assert.deepEqual(b.sent.map(({ body }) => body.type), ["fail"]);
  const request = { peerId: "b", message: textMessage("hi"), deadlineMs: 9.3e21 };
  await assert.rejects(a.engine.sendTask(request), { code: "invalid_argument" });
  stop.abort();
  await done;
  assert.deepEqual(seen, []);
});

Deno.test("updateTask() takes progress once that is said again", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await receiveFrom(b, "a", sendTaskBody("t"));
  const working = { status: "working", message: textMessage("half", "agent") } as const;
  const before = await b.engine.updateTask("t", working);
  assert.deepEqual(await b.engine.updateTask("t", working), before);
  await b.engine.updateTask("t", { status: "input_required" });
  assert.equal((await b.engine.updateTask("t", working)).status, "input_required");
  const result = { artifacts: [artifact], message: textMessage("done", "agent") };
  const ended = await b.engine.completeTask("t", result);
  assert.deepEqual(await b.engine.completeTask("t", result), ended);
});
