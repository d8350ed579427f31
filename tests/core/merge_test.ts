import assert from "node:assert/strict";
import { merge } from "../../core/merge.ts";

async function* from<T>(items: readonly T[], onPull: () => void = () => {}): AsyncGenerator<T> {
  for (const item of items) {
    onPull();
    yield await Promise.resolve(item);
  }
}

Deno.test("merge() gives all items, those of one source in order", async () => {
  const seen: string[] = [];
  for await (const item of merge(from(["a1", "a2", "a3"]), from(["b1", "b2"]), from<string>([]))) {
    seen.push(item);
  }
  assert.deepEqual(seen.filter((one) => one.startsWith("a")), ["a1", "a2", "a3"]);
  assert.deepEqual(seen.filter((one) => one.startsWith("b")), ["b1", "b2"]);
  assert.equal(seen.length, 5);
});

Deno.test("merge() asks for the next item of a source when the one before was taken", async () => {
  let pulled = 0;
  const merged = merge(from([1, 2, 3, 4], () => pulled++));
  await merged.next();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assert.equal(pulled, 1);
  await merged.next();
  assert.equal(pulled, 2);
  await merged.return(undefined);
});

Deno.test("merge() fails as the first source that fails, after what is there", async () => {
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    throw new Error("torn");
  }
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const item of merge(broken())) seen.push(item);
  }, /torn/);
  assert.deepEqual(seen, [1]);
});
