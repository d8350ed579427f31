import assert from "node:assert/strict";
import type { Answer, OutboxEntry } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { entry, range, startDelivery, TAKEN, ticks } from "../support/delivery_rig.ts";
import { EngineNet, textMessage } from "../support/engine_net.ts";

const BUSY: Answer = { outcome: "busy", reason: "no room" };
const MIB = 1024 * 1024;

function report(sequence: number, taskId: string): OutboxEntry {
  return entry(sequence, { lane: "reports", type: "status_update", taskId });
}

Deno.test("A report that the peer cannot take holds back its own task only, in order", async () => {
  const { clock, way, put, sent, stored, end } = startDelivery();
  way.answer = (id) => Promise.resolve(id === "1" ? BUSY : TAKEN);
  put(report(1, "t"), report(2, "u"), report(3, "t"));
  await ticks();
  put(report(4, "t"), ...Array.from({ length: 300 }, (_, i) => report(10 + i, `v${i}`)));
  await ticks();
  assert.deepEqual(sent.slice(0, 2), ["1", "2"]);
  assert.deepEqual([...stored.keys()], [1, 3, 4]);
  sent.length = 0;
  for (let i = 0; i < 600; i++) {
    clock.advance(100);
    if (i % 20 === 0) await ticks();
  }
  assert.ok(sent.length > 2 && sent.length < 15, `${sent.length} tries within a minute`);
  assert.deepEqual([...new Set(sent)], ["1"]);
  sent.length = 0;
  way.answer = () => Promise.resolve(TAKEN);
  clock.advance(30_000);
  await ticks();
  assert.deepEqual([sent, stored.size], [["1", "3", "4"], 0]);
  await end();
});

Deno.test("Very many tasks held back make the lane wait, and all of their reports arrive in the end", async () => {
  const { clock, way, put, sent, stored, end } = startDelivery();
  way.answer = () => Promise.resolve(BUSY);
  put(...Array.from({ length: 1_500 }, (_, i) => report(i + 1, `t${i}`)));
  for (let i = 0; i < 40; i++) {
    clock.advance(1_000);
    await ticks();
  }
  assert.ok(sent.length < 10_000, `${sent.length} tries within 40 s`);
  way.answer = () => Promise.resolve(TAKEN);
  for (let i = 0; i < 20 && stored.size > 0; i++) {
    clock.advance(30_000);
    await ticks();
  }
  assert.equal(stored.size, 0);
  await end();
});

Deno.test("An answer that cannot be kept here holds back its own task only", async () => {
  const { clock, way, put, sent, stored, end } = startDelivery();
  way.window = 1;
  let failures = 1;
  way.onAnswered = () => failures-- > 0 ? Promise.reject(new Error("disk full")) : Promise.resolve();
  put(...range(1, 3));
  await ticks();
  assert.deepEqual([sent, [...stored.keys()]], [["1", "2", "3"], [1]]);
  clock.advance(30_000);
  await ticks();
  assert.deepEqual([sent.slice(3), stored.size], [["1"], 0]);
  await end();
});

Deno.test("A way that breaks while the store is read does not turn the envelopes of a task around", async () => {
  const { clock, way, put, reading, sent, end } = startDelivery();
  const answers = new Map<string, PromiseWithResolvers<Answer>>();
  way.answer = (id) => {
    const answer = Promise.withResolvers<Answer>();
    answers.set(id, answer);
    return answer.promise;
  };
  put(entry(1, { taskId: "t" }), entry(2), entry(3, { taskId: "t", type: "cancel" }));
  await ticks();
  answers.get("2")?.resolve(BUSY);
  await ticks();
  const read = Promise.withResolvers<void>();
  reading.before = () => read.promise;
  clock.advance(5_000);
  await ticks();
  answers.get("1")?.reject(new CodedError("unavailable", "the lane broke"));
  await ticks();
  reading.before = () => Promise.resolve();
  read.resolve();
  way.answer = () => Promise.resolve(TAKEN);
  sent.length = 0;
  for (let i = 0; i < 5; i++) {
    clock.advance(5_000);
    await ticks();
  }
  assert.deepEqual([...sent].sort(), ["1", "2", "3"]);
  assert.ok(sent.indexOf("1") < sent.indexOf("3"));
  await end();
});

Deno.test("Envelopes under way count towards what is held in memory", async () => {
  const { way, put, sent, stored, end } = startDelivery();
  way.window = 256;
  const gate = Promise.withResolvers<Answer>();
  way.answer = () => gate.promise;
  for (const one of range(1, 40)) {
    put({ ...one, bytes: new Uint8Array(4 * MIB) });
    await ticks();
  }
  assert.equal(sent.length, 8);
  gate.resolve(TAKEN);
  for (let i = 0; i < 10; i++) await ticks();
  assert.deepEqual(sent, range(1, 40).map(({ envelopeId }) => envelopeId));
  assert.equal(stored.size, 0);
  await end();
});

Deno.test("withdraw() takes back what was only ever answered busy, and nothing of which the answer was lost", async () => {
  const { delivery, clock, way, put, end } = startDelivery();
  way.answer = (id) =>
    id === "1" ? Promise.reject(new CodedError("unavailable", "the lane broke")) : Promise.resolve(BUSY);
  put(entry(1));
  await ticks();
  way.answer = () => Promise.resolve(BUSY);
  clock.advance(1_000);
  put(entry(2));
  await ticks();
  for (let i = 0; i < 3; i++) {
    clock.advance(4_000);
    await ticks();
  }
  assert.equal(await delivery.withdraw(entry(1), 1), undefined);
  assert.deepEqual(await delivery.withdraw(entry(2), 2), entry(2));
  delivery.release("p", 2);
  await end();
});

Deno.test("placeBehind() answers the place behind a request that may wait, also while the store is read", async () => {
  const { delivery, way, put, commit, reading, end } = startDelivery();
  const behind = { lane: "requests", sequence: 11 };
  const request = entry(10);
  const read = Promise.withResolvers<void>();
  commit(request);
  delivery.reserve([request]);
  delivery.lookFor([request]);
  reading.before = () => read.promise;
  await ticks();
  const place = delivery.placeBehind(request, 10);
  const gate = Promise.withResolvers<Answer>();
  way.answer = () => gate.promise;
  read.resolve();
  assert.deepEqual(await place, behind);
  await ticks();
  assert.deepEqual(await delivery.placeBehind(request, 10), behind); // under way
  commit(entry(11)); // as an earlier version numbered them
  assert.deepEqual(await delivery.placeBehind(request, 10), { lane: "requests" });
  put(entry(20));
  gate.resolve(TAKEN);
  await ticks();
  assert.deepEqual(await delivery.placeBehind(request, 10), { lane: "turns" });
  await end();
});

Deno.test("Answers and cancellations do not wait behind a task that the peer has no room for", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { perPeer: 1 } })];
  const message = () => textMessage("hi");
  const { taskId: first } = await a.engine.sendTask({ peerId: "b", message: message() });
  await net.settle();
  await b.engine.updateTask(first, { status: "input_required", message: textMessage("?", "agent") });
  await net.settle();
  const { taskId: second } = await a.engine.sendTask({ peerId: "b", message: message() });
  const { taskId: third } = await a.engine.sendTask({ peerId: "b", message: message() });
  await net.settle();
  await a.engine.sendTask({ peerId: "b", taskId: first, message: message() });
  await net.settle();
  assert.equal((await b.engine.getTask(first)).status, "working");
  assert.equal((await a.engine.cancelTask(second)).status, "canceled"); // it is not there
  await a.engine.cancelTask(first);
  await net.settle();
  for (const { engine } of [a, b]) assert.equal((await engine.getTask(first)).status, "canceled");
  await net.pass(60_000, { steps: 15 });
  assert.equal((await b.engine.getTask(third)).status, "submitted");
  await assert.rejects(b.engine.getTask(second), { code: "not_found" });
});

Deno.test("A cancellation follows its request, whose answer was lost, past tasks without room", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b", { offers: { perPeer: 1 } })];
  net.fate = (from) => from === "a" ? "lose_answer" : "pass";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.fate = () => "pass";
  net.reachable = () => false;
  for (let i = 0; i < 300; i++) await a.engine.sendTask({ peerId: "b", message: textMessage(`${i}`) });
  assert.equal((await a.engine.cancelTask(taskId)).cancelRequested, true);
  await net.cut();
  net.reachable = () => true;
  await net.pass(120_000, { steps: 30 });
  for (const { engine } of [a, b]) assert.equal((await engine.getTask(taskId)).status, "canceled");
});

Deno.test("cancelTask() of a task under way ends it when the peer has no room for it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  net.fate = (_from, _to, { body }) => body.type === "send_task" ? "busy" : "pass";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await a.engine.cancelTask(taskId);
  await net.pass(10_000, { steps: 5 });
  assert.equal((await a.engine.getTask(taskId)).status, "canceled");
  assert.equal((await Array.fromAsync(a.kv.list(["outbox"]))).length, 0);
  await assert.rejects(b.engine.getTask(taskId), { code: "not_found" });
});

Deno.test("Tasks expire at a peer that never answers, those behind a full window too", async () => {
  await using net = new EngineNet();
  const a = await net.start("a", { envelopeTtlMs: 60_000 });
  await net.start("b");
  net.window = 2;
  net.fate = () => "lose";
  const tasks: string[] = [];
  for (let i = 0; i < 5; i++) {
    tasks.push((await a.engine.sendTask({ peerId: "b", message: textMessage("hi") })).taskId);
  }
  await net.pass(300_000, { steps: 10 });
  for (const taskId of tasks) assert.equal((await a.engine.getTask(taskId)).status, "failed");
  await net.cut();
});

Deno.test("A task that arrived and expired without an answer is called off at its assignee, however long that was away", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a", { envelopeTtlMs: 60_000 }), await net.start("b")];
  net.fate = (_from, _to, { body }) => body.type === "send_task" ? "lose_answer" : "pass";
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  net.reachable = () => false;
  await net.cut();
  for (let i = 0; i < 100 && (await a.engine.getTask(taskId)).status !== "failed"; i++) await net.pass(5_000);
  await net.pass(600_000, { steps: 10 });
  net.reachable = () => true;
  net.fate = () => "pass";
  await net.pass(60_000, { steps: 2 });
  assert.equal((await b.engine.getTask(taskId)).status, "failed");
});
