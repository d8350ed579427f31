import assert from "node:assert/strict";
import type { OfferedTask } from "../../a2a/mod.ts";
import { collect, EngineNet, type EngineNode, receiveFrom, sendTaskBody } from "../support/engine_net.ts";
import { textMessage } from "../support/engine_net.ts";

/** A worker of `node` that takes what comes until it leaves. */
function work(node: EngineNode, options: { exclusive?: boolean; maxClaims?: number } = {}) {
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
