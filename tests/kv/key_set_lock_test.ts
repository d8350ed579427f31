import assert from "node:assert/strict";
import { KeySetLock } from "../../kv/key_set_lock.ts";

Deno.test("KeySetLock.run() runs one at a time per key in the order of the calls and others at once", async () => {
  const lock = new KeySetLock();
  const seen: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const run = (name: string, keys: string[]) => {
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    return lock.run(keys, async () => {
      seen.push(name);
      await gate.promise;
    });
  };
  const first = run("ab", ["a", "b"]);
  const second = run("bc", ["b", "c"]);
  const third = run("ca", ["c", "a"]);
  await Promise.all([run("d", ["d"]), gates.get("d")?.resolve()]);
  assert.deepEqual(seen, ["ab", "d"]);
  gates.get("ab")?.resolve();
  await first;
  gates.get("ca")?.resolve();
  gates.get("bc")?.resolve();
  await Promise.all([second, third]);
  assert.deepEqual(seen, ["ab", "d", "bc", "ca"]);
});

Deno.test("KeySetLock.run() goes on behind work that failed", async () => {
  const lock = new KeySetLock();
  const failed = lock.run(["a"], () => Promise.reject(new Error("no")));
  const next = lock.run(["a", "b"], () => Promise.resolve(1));
  await assert.rejects(failed, /no/);
  assert.equal(await next, 1);
});

Deno.test("KeySetLock.holdsAny() tells whether work of a key has not settled", async () => {
  const lock = new KeySetLock();
  const gate = Promise.withResolvers<void>();
  const running = lock.run(["a", "b"], () => gate.promise);
  assert.deepEqual([lock.holdsAny(["x", "b"]), lock.holdsAny(["x"])], [true, false]);
  gate.resolve();
  await running;
  assert.ok(!lock.holdsAny(["a", "b"]));
});
