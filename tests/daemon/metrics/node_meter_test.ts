import assert from "node:assert/strict";
import { measureCommits } from "../../../daemon/metrics/mod.ts";
import { createMemoryKvStore, type KvOperation } from "../../../kv/mod.ts";

Deno.test("measureCommits() passes on what is in no hurry, and does not count how long it waits", async () => {
  const kv = createMemoryKvStore();
  const commit = kv.commit.bind(kv);
  const passed: unknown[] = [];
  kv.commit = (operations, options) => {
    passed.push(options);
    return commit(operations);
  };
  const observed: string[] = [];
  const measured = measureCommits(
    kv,
    {
      count: () => {},
      gauge: () => {},
      observe: (name) => void observed.push(name),
    } as Parameters<typeof measureCommits>[1],
  );
  const set: KvOperation = { op: "set", key: ["a"], value: new Uint8Array(1) };
  await measured.commit([set], { unhurried: true });
  assert.deepEqual(observed, []);
  await measured.commit([set]);
  assert.deepEqual([passed, observed], [[{ unhurried: true }, undefined], ["store_commit_seconds"]]);
});
