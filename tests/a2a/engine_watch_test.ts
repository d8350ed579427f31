import assert from "node:assert/strict";
import { MAX_EVENTS } from "../../a2a/task_record.ts";
import type { TaskUpdate } from "../../a2a/mod.ts";
import {
  artifact,
  collect,
  EngineNet,
  receiveFrom,
  sendTaskBody,
  textMessage,
} from "../support/engine_net.ts";

const PROGRESS = { status: "working" } as const;

async function nodeWithTask(net: EngineNet) {
  const b = await net.start("b");
  await receiveFrom(b, "a", sendTaskBody("t"));
  return b;
}

Deno.test("subscribe() tells the current state first, then every change, and ends after the final one", async () => {
  await using net = new EngineNet();
  const { engine } = await nodeWithTask(net);
  await engine.updateTask("t", PROGRESS);
  const { seen, done } = collect<TaskUpdate>(engine.subscribe("t"));
  await net.settle();
  const message = textMessage("half", "agent");
  await engine.updateTask("t", { status: "working", message });
  await engine.completeTask("t", { artifacts: [artifact] });
  await done;
  assert.deepEqual(seen.map(({ generation, status }) => [generation, status]), [
    [2, "working"],
    [3, "working"],
    [4, "completed"],
  ]);
  assert.deepEqual(seen[1]?.message, message);
  assert.deepEqual([seen[1]?.artifacts, seen[2]?.artifacts], [[], [artifact]]);
});

Deno.test("subscribe() behind a generation tells all changes since, also over a restart", async () => {
  await using net = new EngineNet();
  const b = await nodeWithTask(net);
  for (let i = 0; i < 5; i++) {
    await b.engine.updateTask("t", { ...PROGRESS, message: textMessage(`${i}`, "agent") });
  }
  await b.engine.failTask("t", "no paper");
  await net.stop("b");
  const { engine } = await net.start("b", { kv: b.kv });
  const updates = await Array.fromAsync(engine.subscribe("t", { afterGeneration: 3 }));
  assert.deepEqual(updates.map(({ generation }) => generation), [4, 5, 6, 7]);
  assert.equal(updates.at(-1)?.errorMessage, "no paper");
  assert.deepEqual(await Array.fromAsync(engine.subscribe("t", { afterGeneration: 7 })), []);
  await assert.rejects(Array.fromAsync(engine.subscribe("u")), { code: "not_found" });
});

Deno.test("subscribe() loses nothing for a slow reader", async () => {
  await using net = new EngineNet();
  const { engine } = await nodeWithTask(net);
  const updates = engine.subscribe("t")[Symbol.asyncIterator]();
  await updates.next();
  for (let i = 0; i < 300; i++) {
    await engine.updateTask("t", { ...PROGRESS, message: textMessage(`${i}`, "agent") });
  }
  await engine.completeTask("t", { artifacts: [] });
  const texts: unknown[] = [];
  for (let step = await updates.next(); !step.done; step = await updates.next()) {
    const content = step.value.message?.parts[0]?.content;
    texts.push(content?.kind === "text" ? content.text : step.value.status);
  }
  assert.deepEqual(texts, [...Array.from({ length: 300 }, (_, i) => `${i}`), "completed"]);
});

Deno.test("subscribe() is out_of_range when the changes asked for are not kept any more", async () => {
  await using net = new EngineNet();
  const { engine } = await nodeWithTask(net);
  for (let i = 0; i < MAX_EVENTS + 1; i++) {
    await engine.updateTask("t", { ...PROGRESS, message: textMessage("x", "agent") });
  }
  await engine.cancelTask("t");
  await assert.rejects(Array.fromAsync(engine.subscribe("t", { afterGeneration: 1 })), {
    code: "out_of_range",
  });
  const updates = await Array.fromAsync(engine.subscribe("t", { afterGeneration: MAX_EVENTS }));
  assert.deepEqual(updates.map(({ generation }) => generation), [
    MAX_EVENTS + 1,
    MAX_EVENTS + 2,
    MAX_EVENTS + 3,
  ]);
});

Deno.test("subscribe() that ends leaves its place to others", async () => {
  await using net = new EngineNet();
  const { engine } = await nodeWithTask(net);
  const listeners = new Set<unknown>();
  for (let round = 0; round < 2; round++) {
    const stop = new AbortController();
    const { signal } = stop;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    };
    const watches = Array.from({ length: 6_000 }, () => collect(engine.subscribe("t", { signal })));
    await net.settle();
    assert.equal(listeners.size, 6_000);
    stop.abort();
    await Promise.all(watches.map(({ done }) => done));
    assert.equal(listeners.size, 0);
  }
});

Deno.test("subscribe() and subscribeIncoming() end as cancelled when the engine ends", async () => {
  await using net = new EngineNet();
  const { engine } = await nodeWithTask(net);
  const watch = collect(engine.subscribe("t"));
  const incoming = collect(engine.subscribeIncoming());
  await net.settle();
  const ends = [
    assert.rejects(watch.done, { code: "cancelled" }),
    assert.rejects(incoming.done, { code: "cancelled" }),
  ];
  await net.stop("b");
  await Promise.all(ends);
});
