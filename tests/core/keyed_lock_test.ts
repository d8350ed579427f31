import assert from "node:assert/strict";
import { KeyedLock } from "../../core/keyed_lock.ts";

Deno.test("run() does the work of one key one at a time, in the order of the calls", async () => {
  const lock = new KeyedLock();
  const steps: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const runs = gates.map(({ promise }, index) =>
    lock.run("a", async () => {
      steps.push(`start ${index}`);
      await promise;
      steps.push(`end ${index}`);
    })
  );
  gates[1]!.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(steps, ["start 0"]);
  gates[0]!.resolve();
  await Promise.all(runs);
  assert.deepEqual(steps, ["start 0", "end 0", "start 1", "end 1"]);
});

Deno.test("run() does not let different keys wait for each other", async () => {
  const lock = new KeyedLock();
  const gate = Promise.withResolvers<void>();
  const held = lock.run("a", () => gate.promise);
  assert.equal(await lock.run("b", () => Promise.resolve("done")), "done");
  gate.resolve();
  await held;
});

Deno.test("run() hands on a failure and still does the next work of the key", async () => {
  const lock = new KeyedLock();
  const failed = lock.run("a", () => Promise.reject(new Error("no")));
  const next = lock.run("a", () => Promise.resolve(2));
  await assert.rejects(failed, /^Error: no$/);
  assert.equal(await next, 2);
});
