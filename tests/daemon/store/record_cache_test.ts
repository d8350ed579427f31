import assert from "node:assert/strict";
import type { StoredTask } from "../../../a2a/mod.ts";
import { RecordCache } from "../../../daemon/store/record_cache.ts";

const stored = (taskId: string) => ({ record: { task: { taskId } }, revision: "1" }) as StoredTask;

Deno.test("RecordCache keeps the newest records of ended tasks, and all others as far as they fit", () => {
  const cache = new RecordCache();
  cache.put(stored("open"), 100);
  for (let index = 0; index < 300; index++) cache.put(stored(`over-${index}`), 100, { isOver: true });
  assert.ok(cache.get("open"));
  assert.equal(cache.get("over-43"), undefined);
  assert.ok(cache.get("over-44"));
  cache.put(stored("large"), 24 * 1024 * 1024 - 10_000);
  assert.equal(cache.get("open"), undefined);
  assert.ok(cache.get("large"));
  assert.ok(cache.get("over-299"));
});

Deno.test("RecordCache.endRead() says that a read is old when the record was put or dropped meanwhile", () => {
  const cache = new RecordCache();
  for (
    const [change, isLatest] of [
      [() => cache.put(stored("t"), 1), false],
      [() => cache.drop("t"), false],
      [() => {}, true],
    ] as const
  ) {
    const read = cache.beginRead("t");
    change();
    assert.equal(cache.endRead("t", read), isLatest);
  }
});
