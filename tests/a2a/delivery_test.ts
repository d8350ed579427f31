import assert from "node:assert/strict";
import { entry, range, startDelivery, TAKEN, ticks } from "../support/delivery_rig.ts";
import { CodedError } from "../../core/errors.ts";
import { EngineNet, textMessage } from "../support/engine_net.ts";
import type { Answer } from "../../a2a/mod.ts";

Deno.test("enqueue() sends one envelope of a task at a time, and other tasks' meanwhile", async () => {
  const { way, put, sent, end } = startDelivery();
  const first = Promise.withResolvers<Answer>();
  way.answer = (id) => id === "1" ? first.promise : Promise.resolve(TAKEN);
  put(entry(1, { taskId: "t" }), entry(2, { taskId: "t" }), entry(3));
  await ticks();
  assert.deepEqual(sent, ["1", "3"]);
  first.resolve(TAKEN);
  await ticks();
  assert.deepEqual(sent, ["1", "3", "2"]);
  await end();
});

Deno.test("enqueue() keeps to the window of the peer", async () => {
  const { way, put, sent, end } = startDelivery();
  way.window = 3;
  way.answer = () => new Promise(() => {});
  put(...range(1, 10));
  await ticks();
  assert.deepEqual(sent, ["1", "2", "3"]);
  await end();
});

Deno.test("A busy answer holds the lane of requests with growing pauses, and not the one of reports", async () => {
  const { clock, way, put, sent, stored, end } = startDelivery();
  way.window = 1;
  way.answer = (id) =>
    Promise.resolve(Number(id) < 100 ? { outcome: "busy", reason: "too much to do" } : TAKEN);
  put(entry(1), entry(2));
  await ticks();
  put(entry(100, { lane: "reports" }));
  await ticks();
  assert.deepEqual(sent, ["1", "100"]);
  for (let i = 0; i < 600; i++) {
    clock.advance(100);
    if (i % 20 === 0) await ticks();
  }
  const tries = sent.length - 1;
  assert.ok(tries > 3 && tries < 20, `${tries} tries within a minute`);
  way.answer = () => Promise.resolve(TAKEN);
  sent.length = 0;
  clock.advance(60_000);
  await ticks();
  assert.deepEqual(sent, ["1", "2"]);
  assert.equal(stored.size, 0);
  await end();
});

Deno.test("enqueue() finds entries that were committed in another order than they were numbered", async () => {
  const { clock, delivery, way, reading, put, commit, sent, end } = startDelivery();
  way.answer = () => Promise.reject(new CodedError("unavailable", "the stream was reset"));
  put(entry(2));
  await ticks();
  put(entry(1)); // while what was numbered later has been tried already
  way.answer = () => Promise.resolve(TAKEN);
  clock.advance(1_000);
  await ticks();
  assert.deepEqual(sent, ["2", "1", "2"]);
  const read = Promise.withResolvers<void>();
  reading.before = () => read.promise;
  way.connected = false;
  put(...range(10, 300));
  commit(entry(5));
  delivery.reserve([entry(5)]);
  clock.advance(1_000);
  await ticks();
  delivery.enqueue([entry(5)]); // while the lane reads what lies behind it
  way.connected = true;
  read.resolve();
  for (let i = 0; i < 5; i++) {
    clock.advance(60_000);
    await ticks();
  }
  assert.equal(new Set(sent).size, 294);
  await end();
});

Deno.test("enqueue() holds a bounded number in memory and brings the rest from the store, each once", async () => {
  const { way, reading, put, sent, stored, end } = startDelivery();
  const gate = Promise.withResolvers<void>();
  way.answer = () => gate.promise.then(() => TAKEN);
  put(...range(1, 2_000));
  await ticks();
  gate.resolve();
  for (let i = 0; i < 20; i++) await ticks();
  assert.deepEqual(sent, range(1, 2_000).map(({ envelopeId }) => envelopeId));
  assert.ok(Math.max(...reading.found) <= 256);
  assert.equal(stored.size, 0);
  await end();
});

Deno.test("enqueue() meets what is committed while the store is read", async () => {
  const { reading, put, sent, end } = startDelivery();
  let next = 2_000;
  reading.before = () => {
    if (next < 2_020) put(entry(next++));
    return Promise.resolve();
  };
  put(...range(1, 1_000));
  for (let i = 0; i < 20; i++) await ticks();
  assert.equal(sent.length, 1_000 + next - 2_000);
  assert.equal(new Set(sent).size, sent.length);
  await end();
});

Deno.test("lookFor() sends what was committed without a word, and survives what was not", async () => {
  const { delivery, commit, sent, stored, end } = startDelivery();
  commit(entry(1));
  delivery.lookFor([entry(1), entry(2)]);
  await ticks();
  assert.deepEqual([sent, stored.size], [["1"], 0]);
  await end();
});

Deno.test("withdraw() holds back what has not left, and nothing that may have", async () => {
  const { delivery, clock, way, put, sent, stored, end } = startDelivery();
  way.window = 1;
  way.answer = () => new Promise(() => {});
  put(entry(1), entry(2), entry(3));
  await ticks();
  assert.equal(await delivery.withdraw(entry(1), 1), undefined);
  assert.deepEqual(await delivery.withdraw(entry(2), 2), entry(2));
  assert.equal(await delivery.withdraw(entry(99), 3), undefined); // another task's
  stored.delete(2);
  delivery.forget(entry(2));
  assert.deepEqual(await delivery.withdraw(entry(3), 3), entry(3));
  delivery.release("p", 3);
  await end();
  assert.deepEqual(sent, ["1"]);
  assert.equal(clock.sleeping, 0);
});

Deno.test("reserve() counts what waits, and delivery gives the room back", async () => {
  const { delivery, way, put, end } = startDelivery({ room: { maxPerPeer: 2, maxTotal: 3 } });
  way.connected = false;
  put(entry(1), entry(2));
  assert.throws(() => delivery.reserve([entry(3)]), { code: "resource_exhausted" });
  delivery.reserve([entry(3, { lane: "reports", type: "complete" })]);
  assert.throws(() => delivery.reserve([entry(4, { peerId: "q" })]), { code: "resource_exhausted" });
  delivery.giveUp([entry(3)]);
  assert.throws(
    () => delivery.reserve([entry(4, { peerId: "q" }), entry(5, { peerId: "q" })]),
    { code: "resource_exhausted" },
  );
  way.connected = true;
  delivery.peerConnected("p");
  await ticks();
  put(entry(6), entry(7));
  await ticks();
  await end();
});

Deno.test("Expired entries are given up although the peer cannot be reached", async () => {
  const { clock, way, put, expired, stored, end } = startDelivery();
  way.connected = false;
  const expiresAtMs = clock.now() + 10_000;
  put(...range(1, 100).map((one) => ({ ...one, expiresAtMs })));
  put(entry(101));
  await ticks();
  clock.advance(120_000);
  for (let i = 0; i < 10; i++) await ticks();
  assert.equal(expired.length, 100);
  assert.deepEqual([...stored.keys()], [101]);
  await end();
});

Deno.test("A way that breaks while the peer stays connected is left for another one at once, and then after pauses", async () => {
  const { way, clock, put, sent, end } = startDelivery();
  way.answer = () => Promise.reject(new CodedError("unavailable", "the way broke"));
  put(entry(1));
  await ticks();
  assert.deepEqual(sent, ["1"]);
  for (let i = 0; i < 2; i++) {
    clock.advance(0);
    await ticks();
    assert.deepEqual(sent, ["1", "1"]);
  }
  way.answer = () => Promise.resolve(TAKEN);
  clock.advance(1_000);
  await ticks();
  assert.deepEqual(sent, ["1", "1", "1"]);
  await end();
});

Deno.test("A peer that is gone as soon as it was reached is tried after a pause", async () => {
  const { way, put, end } = startDelivery();
  way.connected = false;
  put(entry(1));
  for (let i = 0; i < 10; i++) await ticks();
  assert.equal(way.connects, 1);
  await end();
});

Deno.test("Engine leaves no timers behind after many round trips", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a"), await net.start("b")];
  const idle = net.clock.sleeping;
  for (const framing of ["2.0", "1.0"]) {
    if (framing === "1.0") net.legacy.add("a").add("b");
    for (let i = 0; i < 30; i++) {
      const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
      for (let tick = 0; tick < 100 && await b.engine.getTask(taskId).catch(() => "") === ""; tick++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      await b.engine.completeTask(taskId, { artifacts: [] });
    }
    await net.settle();
    assert.equal(net.clock.sleeping, idle);
  }
});

Deno.test("close() first lets peers that are connected take what is for them, also what waits for its turn", async () => {
  const { way, put, sent, stored, end } = startDelivery({ flushMs: 2_000 });
  const first = Promise.withResolvers<Answer>();
  way.answer = (id) => id === "1" ? first.promise : Promise.resolve(TAKEN);
  put(entry(1, { taskId: "t" }), entry(2, { taskId: "t" }));
  const ended = end();
  await ticks();
  assert.deepEqual(sent, ["1"]);
  first.resolve(TAKEN);
  await ended;
  assert.deepEqual(sent, ["1", "2"]);
  assert.equal(stored.size, 0);
});

Deno.test("close() waits no longer than it may for a peer that does not answer, and not at all for one that is away", async () => {
  const silent = startDelivery({ flushMs: 2_000 });
  silent.way.answer = () => new Promise(() => {});
  silent.put(entry(1));
  let isOver = false;
  const ended = silent.end().then(() => isOver = true);
  await ticks();
  assert.equal(isOver, false);
  silent.clock.advance(2_000);
  await ended;
  assert.equal(silent.stored.size, 1);
  const away = startDelivery({ flushMs: 2_000 });
  away.way.connected = false;
  away.put(entry(1));
  await away.end();
});
