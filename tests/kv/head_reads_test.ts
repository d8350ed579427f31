import assert from "node:assert/strict";
import { HeadReads } from "../../kv/head_reads.ts";

/** A database with a key of each number below 25, which counts how it is asked; `broken` keys cannot be read. */
function openFake(broken: readonly number[] = []) {
  const asked: number[] = [];
  const read = (key: Deno.KvKey) => {
    const number = Number(key[0]);
    if (broken.includes(number)) throw new TypeError(`${number} is broken`);
    return { key, value: number, versionstamp: "1" };
  };
  const kv = {
    get: async (key: Deno.KvKey) => {
      asked.push(1);
      return await Promise.resolve(read(key));
    },
    getMany: async (keys: readonly Deno.KvKey[]) => {
      asked.push(keys.length);
      return await Promise.resolve(keys.map(read));
    },
  };
  return { asked, reads: new HeadReads(kv as unknown as Deno.Kv) };
}

Deno.test("HeadReads reads what is asked for in one turn ten at a time, and a lone key by itself", async () => {
  const { asked, reads } = openFake();
  const entries = await Promise.all(Array.from({ length: 25 }, (_, number) => reads.get([number])));
  assert.deepEqual(entries.map(({ value }) => value), Array.from({ length: 25 }, (_, number) => number));
  assert.deepEqual(asked, [10, 10, 5]);
  assert.equal((await reads.get([7])).value, 7);
  assert.deepEqual(asked, [10, 10, 5, 1]);
});

Deno.test("HeadReads rejects the read of the key that cannot be read, and no other", async () => {
  const { reads } = openFake([3]);
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, (_, number) => reads.get([number])));
  assert.deepEqual(outcomes.flatMap(({ status }, number) => status === "rejected" ? number : []), [3]);
});
