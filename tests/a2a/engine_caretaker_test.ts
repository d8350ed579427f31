import assert from "node:assert/strict";
import { Engine } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { decodeEnvelope, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import { createMemoryKvStore } from "../../kv/mod.ts";
import { EngineNet, type EngineNode, receiveFrom, sendTaskBody, textMessage } from "../support/engine_net.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { untilHolds } from "../support/patience.ts";

const HOUR_MS = 3_600_000;
const LATE = "The deadline of the task is over";

async function endOf({ engine }: EngineNode, taskId: string): Promise<string[]> {
  const { status, errorMessage } = await engine.getTask(taskId);
  return [status, errorMessage];
}

Deno.test("Caretaker fails a received task at its deadline and reports it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const deadlineMs = net.clock.now() + 10_000;
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi"), deadlineMs });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "working" });
  await net.pass(9_900);
  assert.equal((await endOf(b, taskId))[0], "working");
  await net.pass(200);
  for (const node of [a, b]) assert.deepEqual(await endOf(node, taskId), ["failed", LATE]);
});

Deno.test("Caretaker fails a received task at once whose deadline passed while the node was down", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await receiveFrom(b, "a", sendTaskBody("t", { deadlineMs: net.clock.now() + 10_000 }));
  await net.stop("b");
  net.clock.advance(HOUR_MS);
  const again = await net.start("b", { kv: b.kv });
  await net.settle();
  assert.deepEqual(await endOf(again, "t"), ["failed", LATE]);
});

Deno.test("Caretaker ends a sent task itself when nothing came 5 s after its deadline", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const deadlineMs = net.clock.now() + 10_000;
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi"), deadlineMs });
  await net.settle();
  await net.stop("b");
  await net.pass(10_100);
  const { status, cancelRequested } = await a.engine.getTask(taskId);
  assert.deepEqual([status, cancelRequested], ["submitted", true]);
  await net.pass(5_200, { steps: 2 });
  assert.deepEqual(await endOf(a, taskId), ["failed", LATE]);
});

Deno.test("Caretaker withdraws a task at its deadline that has not left", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const deadlineMs = net.clock.now() + 10_000;
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi"), deadlineMs });
  await net.pass(10_100);
  assert.deepEqual(await endOf(a, taskId), ["failed", LATE]);
  assert.equal((await Array.fromAsync(a.kv.list(["outbox"]))).length, 0);
});

Deno.test("Caretaker fails a task that no agent takes up, and one whose agent does not come back", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { agentTimeoutMs: HOUR_MS });
  await receiveFrom(b, "a", sendTaskBody("waiting"));
  await receiveFrom(b, "a", sendTaskBody("orphan"));
  const stop = new AbortController();
  const agent = (async () => {
    for await (const _task of b.engine.subscribeIncoming({ signal: stop.signal }));
  })();
  await net.settle();
  await b.engine.updateTask("orphan", { status: "working" });
  await net.pass(2 * HOUR_MS, { steps: 4 });
  assert.equal((await endOf(b, "waiting"))[0], "failed");
  assert.equal((await endOf(b, "orphan"))[0], "working");
  stop.abort();
  await agent;
  await net.pass(2 * HOUR_MS, { steps: 4 });
  assert.deepEqual(await endOf(b, "orphan"), [
    "failed",
    "The agent that worked on the task did not come back within 1 h",
  ]);
});

Deno.test("Caretaker fails tasks that nobody says anything of, and tells the assignee", async () => {
  await using net = new EngineNet();
  const options = { idleTimeoutMs: HOUR_MS, envelopeTtlMs: 0 };
  const [a, b] = [await net.start("a", options), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await receiveFrom(a, "c", sendTaskBody("asked"));
  await a.engine.updateTask("asked", { status: "input_required" });
  await net.settle();
  net.reachable = () => false;
  await net.pass(HOUR_MS + 200, { steps: 8 });
  assert.deepEqual(await endOf(a, taskId), ["failed", "b has not said anything for 1 h"]);
  assert.deepEqual(await endOf(a, "asked"), ["failed", "No answer came within 1 h"]);
  net.reachable = () => true;
  await net.pass(60_000);
  assert.equal((await endOf(b, taskId))[0], "failed");
});

Deno.test("Caretaker asks for what it has missed, and the answer makes up for it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { envelopeTtlMs: 1_000 })];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.reachable = () => false;
  await b.engine.failTask(taskId, "no paper");
  await net.pass(120_000, { steps: 4 });
  net.reachable = () => true;
  await net.pass(60_000);
  assert.equal((await endOf(a, taskId))[0], "submitted");
  await net.pass(5 * 60_000, { steps: 2 });
  assert.deepEqual(await endOf(a, taskId), ["failed", "no paper"]);
});

Deno.test("refreshTask() asks the assignee; one that lost the task ends it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const idle = net.clock.sleeping;
  assert.equal((await a.engine.refreshTask(taskId)).status, "submitted");
  assert.equal(net.clock.sleeping, idle);
  net.fate = (from) => from === "b" ? "fail" : "pass";
  await b.engine.updateTask(taskId, { status: "working" });
  await net.settle();
  net.fate = () => "pass";
  assert.equal((await a.engine.refreshTask(taskId)).status, "working");
  await net.stop("b");
  await assert.rejects(a.engine.refreshTask(taskId), { code: "unavailable" });
  await net.start("b");
  const task = await a.engine.refreshTask(taskId);
  assert.deepEqual([task.status, task.errorMessage], ["failed", "b does not know the task any more"]);
  await assert.rejects(a.engine.refreshTask("none"), { code: "not_found" });
});

Deno.test("refreshTask() is unavailable when no answer comes, unimplemented at a 1.0 peer", async () => {
  await using net = new EngineNet();
  const [a] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.fate = () => "lose";
  for (const code of ["unavailable", "unimplemented"]) {
    if (code === "unimplemented") net.legacy.add("b");
    const asking = assert.rejects(a.engine.refreshTask(taskId), { code });
    await net.settle();
    await net.pass(10_000);
    await asking;
  }
  await net.cut();
});

Deno.test("receive() of an old state does not undo an answer that is still on its way", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  net.fate = () => "lose";
  await a.engine.sendTask({ peerId: "b", taskId, message: textMessage("red") });
  const task = { status: "input_required", messages: [], artifacts: [], errorMessage: "" } as const;
  await receiveFrom(a, "b", { type: "get_task_response", taskId, task });
  assert.equal((await endOf(a, taskId))[0], "working");
  await net.cut();
});

Deno.test("Caretaker removes ended tasks, and a late repetition is taken but not run", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { keepMs: HOUR_MS, sweepMs: 60_000, rememberMs: 48 * HOUR_MS });
  await receiveFrom(b, "a", sendTaskBody("t"));
  await b.engine.completeTask("t", { artifacts: [] });
  await receiveFrom(b, "a", sendTaskBody("open"));
  await net.pass(2 * HOUR_MS, { steps: 4 });
  await assert.rejects(b.engine.getTask("t"), { code: "not_found" });
  assert.equal((await b.engine.getTask("open")).status, "submitted");
  await net.stop("b");
  const again = await net.start("b", { kv: b.kv });
  const answers = await Promise.all(["t", "t"].map((id) => receiveFrom(again, "a", sendTaskBody(id))));
  assert.deepEqual(answers.map(({ outcome }) => outcome), ["taken", "taken"]);
  await assert.rejects(again.engine.getTask("t"), { code: "not_found" });
});

Deno.test("Caretaker removes the oldest ended tasks when there are too many", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { keepTasks: 2, sweepMs: 60_000 });
  for (const id of ["t1", "t2", "t3", "t4"]) {
    net.clock.advance(10);
    await receiveFrom(b, "a", sendTaskBody(id));
    await b.engine.cancelTask(id);
  }
  await net.pass(60_000);
  const { tasks } = await b.engine.listTasks({ pageSize: 10 });
  assert.deepEqual(tasks.map(({ taskId }) => taskId), ["t4", "t3"]);
});

Deno.test("Caretaker does nothing rash when the clock steps back", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.clock.advance(24 * HOUR_MS);
  const first = await a.engine.sendTask({ peerId: "b", message: textMessage("1") });
  await net.settle();
  net.clock.advance(-24 * HOUR_MS);
  const second = await a.engine.sendTask({ peerId: "b", message: textMessage("2") });
  await net.pass(60_000);
  for (const { taskId } of [first, second]) await b.engine.completeTask(taskId, { artifacts: [] });
  await net.settle();
  for (const { taskId } of [first, second]) assert.equal((await endOf(a, taskId))[0], "completed");
});

Deno.test("Caretaker tells the assignee when an answer to it expires", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a", { envelopeTtlMs: 60_000 }), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  net.fate = (_from, _to, { body }) => body.type === "send_task" ? "busy" : "pass";
  await a.engine.sendTask({ peerId: "b", taskId, message: textMessage("red") });
  await net.pass(180_000, { steps: 6 });
  for (const node of [a, b]) {
    assert.deepEqual(await endOf(node, taskId), [
      "failed",
      "Could not be delivered: b did not acknowledge it in time",
    ]);
  }
});

Deno.test("refreshTask() ends with its signal", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  const idle = net.clock.sleeping;
  net.fate = (from) => from === "b" ? "lose" : "pass";
  const stop = new AbortController();
  const asking = assert.rejects(a.engine.refreshTask(taskId, { signal: stop.signal }));
  await untilHolds(() => b.sent.some(({ body }) => body.type === "get_task_response"));
  stop.abort(new Error("enough"));
  net.clock.advance(10_000); // what was sent meanwhile is given up too
  await net.cut();
  await asking;
  assert.equal(net.clock.sleeping, idle);
});

Deno.test("refreshTask() does not fail a task that its assignee is still writing", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const [written, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const receive = a.engine.receive.bind(a.engine);
  a.engine.receive = async (peerId, envelope) => {
    if (envelope.body.type === "get_task_response") await answered.promise;
    return await receive(peerId, envelope);
  };
  const commit = b.kv.commit.bind(b.kv);
  b.kv.commit = async (operations) => {
    await written.promise;
    return await commit(operations);
  };
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  const refreshed = a.engine.refreshTask(taskId);
  await untilHolds(() => a.sent.some(({ body }) => body.type === "get_task"));
  written.resolve();
  answered.resolve();
  await refreshed;
  assert.equal((await endOf(a, taskId))[0], "submitted");
});

Deno.test("refreshTask() does not take an answer for what was asked before the task moved on", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required" });
  await net.settle();
  const [answering, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const receive = a.engine.receive.bind(a.engine);
  a.engine.receive = async (peerId, envelope) => {
    if (envelope.body.type === "get_task_response") {
      answering.resolve();
      await answered.promise;
    }
    return await receive(peerId, envelope);
  };
  const refreshed = a.engine.refreshTask(taskId);
  await answering.promise;
  await a.engine.sendTask({ peerId: "b", taskId, message: textMessage("red") });
  await untilHolds(async () => (await endOf(b, taskId))[0] === "working");
  answered.resolve();
  await refreshed;
  assert.equal((await endOf(a, taskId))[0], "working");
});

Deno.test("Caretaker asks for a task while another one waits for the peer", async () => {
  await using net = new EngineNet();
  const [a, b] = [
    await net.start("a"),
    await net.start("b", { envelopeTtlMs: 1_000, offers: { perPeer: 1 } }),
  ];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.reachable = () => false;
  await b.engine.updateTask(taskId, { status: "working" });
  await net.pass(120_000, { steps: 4 });
  net.reachable = () => true;
  await a.engine.sendTask({ peerId: "b", message: textMessage("waits for room") });
  await net.pass(10 * 60_000, { steps: 20 });
  assert.equal((await endOf(a, taskId))[0], "working");
});

Deno.test("Caretaker dials a peer that has been silent for long, seldom, and asks it", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  let [isConnected, dials] = [true, 0];
  await using engine = new Engine({
    store: new KvTaskStore({ kv: createMemoryKvStore(), logger: silentLogger }),
    logger: silentLogger,
    clock,
    encode: encodeEnvelope,
    transport: {
      peerId: "a",
      isConnected: () => isConnected,
      framingOf: () => "2.0",
      windowOf: () => 16,
      connect: () => {
        isConnected = ++dials === 2;
        return isConnected ? Promise.resolve() : Promise.reject(new CodedError("unavailable", "not there"));
      },
      send: (_peerId, { bytes }) => {
        const decoded = decodeEnvelope(bytes);
        if (decoded?.kind === "envelope") asked.push(decoded.envelope.body.type);
        return Promise.resolve({ outcome: "taken" });
      },
    },
  });
  await engine.start();
  const pass = async (minutes: number) => {
    for (let step = 0; step < minutes; step++) {
      clock.advance(60_000);
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  for (let i = 0; i < 3; i++) await engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await pass(1);
  isConnected = false;
  asked.length = 0;
  await pass(13);
  assert.deepEqual([dials, asked], [0, []]);
  await pass(5);
  assert.deepEqual([dials, asked], [1, []]);
  await pass(10);
  assert.equal(dials, 2);
  assert.ok(asked.length > 0 && asked.every((type) => type === "get_task"), `${asked}`);
});
