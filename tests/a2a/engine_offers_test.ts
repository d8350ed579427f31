import assert from "node:assert/strict";
import type { OfferedTask, OfferOptions } from "../../a2a/mod.ts";
import { collect, EngineNet, type EngineNode, receiveFrom, sendTaskBody } from "../support/engine_net.ts";
import { textMessage } from "../support/engine_net.ts";

/** A worker of `node` that takes what comes until it leaves. */
function work(node: EngineNode, options: OfferOptions = {}) {
  const stop = new AbortController();
  const { seen, done } = collect<OfferedTask>(
    node.engine.subscribeIncoming({ ...options, signal: stop.signal }),
  );
  const leave = async () => {
    stop.abort();
    await done;
  };
  return { ids: () => seen.map(({ task }) => task.taskId), seen, leave };
}

async function receiveTasks(node: EngineNode, ids: readonly string[]): Promise<void> {
  for (const id of ids) await receiveFrom(node, "a", sendTaskBody(id));
}

Deno.test("subscribeIncoming() gives every plain subscriber every task that waits, once", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  await receiveTasks(b, ["t1"]);
  const workers = [work(b), work(b)];
  await receiveTasks(b, ["t2"]);
  await net.settle();
  for (const worker of workers) assert.deepEqual(worker.ids(), ["t1", "t2"]);
  for (const worker of workers) await worker.leave();
});

Deno.test("subscribeIncoming() gives each task to one exclusive subscriber, no more at once than it wants", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const [x, y] = [
    work(b, { exclusive: true, maxClaims: 2 }),
    work(b, { exclusive: true, maxClaims: 1 }),
  ];
  await receiveTasks(b, ["t1", "t2", "t3", "t4"]);
  await net.settle();
  assert.deepEqual([x.ids().length, y.ids().length], [2, 1]);
  const { task, claimId } = y.seen[0]!;
  await b.engine.completeTask(task.taskId, { artifacts: [] }, { claimId });
  await net.settle();
  assert.deepEqual([...x.ids(), ...y.ids()].sort(), ["t1", "t2", "t3", "t4"]);
  await x.leave();
  await y.leave();
});

Deno.test("updateTask() is failed_precondition without the live claim on the task", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const { claimId } = x.seen[0]!;
  const working = { status: "working" } as const;
  await assert.rejects(b.engine.updateTask("t", working), { code: "failed_precondition" });
  await assert.rejects(b.engine.updateTask("t", working, { claimId: "made up" }), {
    code: "failed_precondition",
  });
  await b.engine.updateTask("t", working, { claimId });
  await net.pass(35_000, { steps: 14 });
  await assert.rejects(b.engine.completeTask("t", { artifacts: [] }, { claimId }), {
    code: "failed_precondition",
  });
  assert.deepEqual(b.engine.renewClaims([claimId]), [claimId]);
  await x.leave();
});

Deno.test("renewClaims() keeps a claim alive, and one that is not renewed goes to the next worker", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true, maxClaims: 1 });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const y = work(b, { exclusive: true });
  const { claimId } = x.seen[0]!;
  await b.engine.updateTask("t", { status: "working" }, { claimId });
  for (let i = 0; i < 10; i++) {
    await net.pass(20_000, { steps: 4 });
    assert.deepEqual(b.engine.renewClaims([claimId]), []);
  }
  assert.deepEqual(y.ids(), []);
  await net.pass(35_000, { steps: 14 });
  assert.deepEqual([...x.ids(), ...y.ids()].sort(), ["t", "t"]);
  assert.notEqual([...x.seen, ...y.seen].at(-1)?.claimId, claimId);
  await x.leave();
  await y.leave();
});

Deno.test("subscribeIncoming() offers a claimed task again 5 s after its worker has gone", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["reported", "silent"]);
  await net.settle();
  await b.engine.updateTask("reported", { status: "working" }, { claimId: x.seen[0]!.claimId });
  const y = work(b, { exclusive: true });
  await x.leave();
  await net.pass(2_500);
  assert.deepEqual(y.ids(), []);
  await net.pass(5_000, { steps: 2 });
  assert.deepEqual(y.ids().sort(), ["reported", "silent"]);
  await y.leave();
});

Deno.test("subscribeIncoming() keeps to a claim over a restart, for a fresh lease", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const { claimId } = x.seen[0]!;
  await b.engine.updateTask("t", { status: "working" }, { claimId });
  await x.leave();
  await net.stop("b");
  net.clock.advance(3_600_000);
  const again = await net.start("b", { kv: b.kv, offers: { leaseMs: 30_000 } });
  const y = work(again, { exclusive: true });
  await net.pass(20_000, { steps: 8 });
  assert.deepEqual(y.ids(), []);
  assert.deepEqual(again.engine.renewClaims([claimId]), []);
  await again.engine.updateTask(
    "t",
    { status: "working", message: textMessage("half", "agent") },
    { claimId },
  );
  await net.pass(35_000, { steps: 14 });
  assert.deepEqual(y.ids(), ["t"]);
  await y.leave();
});

Deno.test("subscribeIncoming() gives an answer to the worker that asked, under its claim", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const x = work(b, { exclusive: true, maxClaims: 1 });
  const y = work(b, { exclusive: true, maxClaims: 1 });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const { claimId } = x.seen[0]!;
  await b.engine.updateTask("t", { status: "input_required" }, { claimId });
  await receiveFrom(b, "a", sendTaskBody("t", { message: textMessage("the red one") }));
  await net.settle();
  assert.deepEqual(x.seen.map((one) => [one.task.status, one.claimId]), [
    ["submitted", claimId],
    ["working", claimId],
  ]);
  assert.deepEqual(y.ids(), []);
  await b.engine.completeTask("t", { artifacts: [] }, { claimId });
  await x.leave();
  await y.leave();
});

Deno.test("subscribeIncoming() gives an answer to the next worker when the one that asked is gone", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  await b.engine.updateTask("t", { status: "input_required" }, { claimId: x.seen[0]!.claimId });
  await x.leave();
  const y = work(b, { exclusive: true });
  await receiveFrom(b, "a", sendTaskBody("t", { message: textMessage("the red one") }));
  await net.settle();
  assert.deepEqual(y.ids(), ["t"]);
  await y.leave();
});

Deno.test("subscribeIncoming() gives orphaned work to the first subscriber after all have gone, and to no other", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const first = work(b);
  await receiveTasks(b, ["t"]);
  await net.settle();
  await b.engine.updateTask("t", { status: "working" });
  await first.leave();
  const [second, third] = [work(b), work(b)];
  await net.settle();
  assert.deepEqual([second.ids(), third.ids()], [["t"], []]);
  await second.leave();
  await third.leave();
});

Deno.test("subscribeIncoming() goes on after the store failed to write that a claim is over", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  await b.engine.updateTask("t", { status: "working" }, { claimId: x.seen[0]!.claimId });
  await x.leave();
  const commit = b.kv.commit.bind(b.kv);
  b.kv.commit = () => Promise.reject(new Error("disk full"));
  await net.pass(30_000, { steps: 12 });
  b.kv.commit = commit;
  const y = work(b, { exclusive: true });
  await net.pass(5_000, { steps: 2 });
  assert.deepEqual(y.ids(), ["t"]);
  await y.leave();
});

Deno.test("subscribeIncoming() that ends leaves nothing behind", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const idle = net.clock.sleeping;
  for (let i = 0; i < 1_100; i++) await work(b, { exclusive: i % 2 === 0 }).leave();
  assert.equal(net.clock.sleeping, idle);
});

Deno.test("renewClaims() finds its claims alive after the clock was set forward or the process stood still", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const y = work(b, { exclusive: true });
  const { claimId } = x.seen[0]!;
  await b.engine.updateTask("t", { status: "working" }, { claimId });
  await net.pass(3_600_000);
  assert.deepEqual([y.ids(), b.engine.renewClaims([claimId])], [[], []]);
  await x.leave();
  await y.leave();
});

Deno.test("subscribeIncoming() renews the claim on a task that is offered again, and so does each change of it", async () => {
  await using net = new EngineNet();
  const b = await net.start("b", { offers: { leaseMs: 30_000 } });
  const x = work(b, { exclusive: true });
  await receiveTasks(b, ["t"]);
  await net.settle();
  const { claimId } = x.seen[0]!;
  const changes = [{ status: "working" }, { status: "input_required" }] as const;
  for (const change of changes) {
    await net.pass(25_000, { steps: 10 });
    await b.engine.updateTask("t", change, { claimId });
  }
  await net.pass(25_000, { steps: 10 });
  await receiveFrom(b, "a", sendTaskBody("t", { message: textMessage("answer") }));
  await net.pass(25_000, { steps: 10 });
  assert.deepEqual(b.engine.renewClaims([claimId]), []);
  assert.deepEqual(x.seen.map((one) => one.claimId), [claimId, claimId]);
  await x.leave();
});

/** An agent of a program with a role. */
function agent(
  node: EngineNode,
  agentId: string,
  { skills = [], others = false, ...options }: OfferOptions & { skills?: string[]; others?: boolean },
) {
  return work(node, { ...options, role: { agentId, skills, others } });
}

/** Receives tasks by id and skill. */
async function receiveFor(node: EngineNode, tasks: Record<string, string>): Promise<void> {
  for (const [id, targetSkillId] of Object.entries(tasks)) {
    await receiveFrom(node, "a", sendTaskBody(id, { targetSkillId }));
  }
}

Deno.test("subscribeIncoming() gives an agent with a role the tasks for its skills, and nobody else", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const echo = agent(b, "1", { skills: ["echo"] });
  const paint = agent(b, "2", { skills: ["paint"], others: true });
  const monitor = work(b);
  await receiveFor(b, { t1: "echo", t2: "paint", t3: "", t4: "sing" });
  await net.settle();
  assert.deepEqual(echo.ids(), ["t1"]);
  assert.deepEqual(paint.ids(), ["t2", "t3", "t4"]);
  assert.deepEqual(monitor.ids(), ["t1", "t2", "t3", "t4"]);
  for (const one of [echo, paint, monitor]) await one.leave();
});

Deno.test("subscribeIncoming() gives a new task that no agent is for to one, which refuses it", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const agents = [agent(b, "1", { skills: ["echo"] }), agent(b, "2", { skills: ["paint"] })];
  await receiveFor(b, { t: "sing" });
  await net.settle();
  assert.deepEqual(agents.flatMap((one) => one.ids()), ["t"]);
  for (const one of agents) await one.leave();
});

Deno.test("subscribeIncoming() divides tasks among agents of the same skill, and an exclusive one comes first", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const [x, y] = [agent(b, "1", { skills: ["echo"] }), agent(b, "2", { skills: ["echo"] })];
  await receiveFor(b, { t1: "echo", t2: "echo", t3: "echo", t4: "echo" });
  await net.settle();
  assert.deepEqual([x.ids().length, y.ids().length], [2, 2]);
  const z = agent(b, "3", { skills: ["echo"], exclusive: true });
  await receiveFor(b, { t5: "echo" });
  await net.settle();
  assert.deepEqual(z.ids(), ["t5"]);
  for (const one of [x, y, z]) await one.leave();
});

Deno.test("subscribeIncoming() keeps the tasks of an agent that is away for it, and then gives them to one of its skill", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const x = agent(b, "1", { skills: ["echo"] });
  await receiveFor(b, { t1: "echo", t2: "echo" });
  await net.settle();
  await b.engine.updateTask("t1", { status: "working" });
  const other = agent(b, "2", { skills: ["paint"], others: true });
  const same = agent(b, "3", { skills: ["echo"] });
  await x.leave();
  await net.pass(2_500);
  const back = agent(b, "1", { skills: ["echo"] });
  await net.settle();
  assert.deepEqual(back.ids(), ["t1", "t2"]);
  await back.leave();
  await net.pass(7_500, { steps: 3 });
  assert.deepEqual(same.ids(), ["t1", "t2"]);
  assert.deepEqual(other.ids(), []);
  for (const one of [other, same]) await one.leave();
});

Deno.test("forgetAgent() gives the tasks of an agent to another one at once", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const x = agent(b, "1", { skills: ["echo"] });
  const same = agent(b, "2", { skills: ["echo"] });
  await receiveFor(b, { t1: "echo" });
  await net.settle();
  await x.leave();
  b.engine.forgetAgent("1");
  await net.settle();
  assert.deepEqual(same.ids(), ["t1"]);
  await same.leave();
});

Deno.test("subscribeIncoming() gives an agent that subscribes anew with another role what it has and what it is now for", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const before = agent(b, "1", { skills: ["echo"] });
  const rest = agent(b, "2", { skills: ["sing"] });
  await receiveFor(b, { t1: "echo" });
  await net.settle();
  const after = agent(b, "1", { skills: ["echo", "paint"] });
  await before.leave();
  await receiveFor(b, { t2: "paint" });
  await net.settle();
  assert.deepEqual(after.ids(), ["t1", "t2"]);
  assert.deepEqual(rest.ids(), []);
  for (const one of [after, rest]) await one.leave();
});

Deno.test("subscribeIncoming() holds the tasks of an earlier run until its agents are back, when those were several", async () => {
  await using net = new EngineNet();
  const before = await net.start("b");
  await receiveFor(before, { t1: "echo", t2: "paint" });
  await before.engine.updateTask("t2", { status: "working" });
  await net.stop("b");
  const b = await net.start("b", { kv: before.kv, agentIds: ["1", "2"] });
  const x = agent(b, "1", { skills: ["echo"], others: true });
  await net.settle();
  assert.deepEqual(x.ids(), []);
  const y = agent(b, "2", { skills: ["paint"] });
  await net.settle();
  assert.deepEqual([x.ids(), y.ids()], [["t1"], ["t2"]]);
  for (const one of [x, y]) await one.leave();
  await net.stop("b");
  const c = await net.start("b", { kv: before.kv, agentIds: ["1", "2"] });
  const z = agent(c, "3", { skills: ["echo"] });
  await net.pass(7_500, { steps: 3 });
  assert.deepEqual(z.ids(), ["t1"]);
  await z.leave();
});
