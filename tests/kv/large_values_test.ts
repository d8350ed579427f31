import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { CodedError } from "../../core/errors.ts";
import { headKey, largeKey, largePrefix } from "../../kv/keys.ts";
import { LargeValues } from "../../kv/large_values.ts";
import { encodeKey } from "../../kv/limits.ts";
import { type KvKey, type KvOperation, type KvStore, openDenoKvStore } from "../../kv/mod.ts";
import { patternBytes } from "../contract/kv_store_contract.ts";
import { tempDir } from "../support/temp_dir.ts";

const LARGE = patternBytes(150_000);
const set = (key: KvKey, value: Uint8Array = new Uint8Array(9)): KvOperation => ({ op: "set", key, value });
const open = (directory: string) => openDenoKvStore({ directory });
const isLost = (error: unknown) => error instanceof CodedError && error.code === "data_loss";

/** Lets `work` at the database while no store has it open. */
async function withDatabase<T>(directory: string, work: (kv: Deno.Kv) => Promise<T>): Promise<T> {
  using kv = await Deno.openKv(`${directory}/agentanycast.kv`);
  return await work(kv);
}

const indexed = (directory: string): Promise<Deno.KvKey[]> =>
  withDatabase(
    directory,
    (kv) => Array.fromAsync(kv.list({ prefix: largePrefix }), ({ key }) => key.slice(1)),
  );

const chunkCount = (directory: string): Promise<number> =>
  withDatabase(directory, async (kv) => (await Array.fromAsync(kv.list({ prefix: ["chunk"] }))).length);

/** Makes the record of the head of `key` one that cannot be decoded. */
function scramble(directory: string, key: string): void {
  const database = new DatabaseSync(`${directory}/agentanycast.kv`);
  const encoded = Uint8Array.from([
    2,
    ...new TextEncoder().encode("head"),
    0,
    2,
    ...new TextEncoder().encode(key),
    0,
  ]);
  const { changes } = database.prepare("UPDATE kv SET v = x'ff0f' WHERE k = ?").run(encoded);
  database.close();
  assert.equal(changes, 1);
}

/** A store with small values around damaged large ones: b in its chunks, d and g in their heads, i in its chunk list. */
async function damagedStore(directory: string): Promise<KvStore> {
  {
    await using store = await open(directory);
    for (const key of "acefhj") await store.commit([set([key], key === "e" ? LARGE : undefined)]);
    for (const key of "bdgi") await store.commit([set([key], LARGE)]);
  }
  await withDatabase(directory, async (kv) => {
    const { value } = await kv.get<{ id: string }>(headKey(["b"]));
    await kv.delete(["chunk", value?.id ?? "", 1]);
    await kv.set(headKey(["i"]), { id: 5, size: "many" });
  });
  for (const key of "dg") scramble(directory, key);
  return await open(directory);
}

Deno.test("get() throws data_loss when its own record is damaged and answers all others", async () => {
  await using dir = await tempDir();
  await using store = await damagedStore(dir.path);
  for (const key of "bdgi") {
    await assert.rejects(
      store.get([key]),
      (error: unknown) => isLost(error) && /\["\w"\]/.test(String(error)),
    );
  }
  for (const key of "acefhj") assert.ok(await store.get([key]));
  assert.deepEqual((await store.get(["e"]))?.value, LARGE);
});

Deno.test("list() goes on past damaged records when it is told what to do about them", async () => {
  await using dir = await tempDir();
  await using store = await damagedStore(dir.path);
  const list = async (options = {}) => {
    const seen: string[] = [];
    const onDamaged = (key: KvKey, error: CodedError) =>
      seen.push(isLost(error) ? `${key}!` : `${key}: ${error}`);
    for await (const { key } of store.list([], { ...options, onDamaged })) seen.push(String(key));
    return seen.join(" ");
  };
  assert.equal(await list(), "a b! c d! e f g! h i! j");
  assert.equal(await list({ reverse: true }), "j i! h g! f e d! c b! a");
  assert.equal(await list({ after: ["c"], limit: 3 }), "d! e f g! h");
  assert.equal(await list({ after: ["h"], reverse: true, limit: 1 }), "g! f");
});

Deno.test("list() throws data_loss at a damaged record when it is not told what to do", async () => {
  await using dir = await tempDir();
  await using store = await damagedStore(dir.path);
  const seen: string[] = [];
  const list = async () => {
    for await (const { key } of store.list([])) seen.push(String(key));
  };
  await assert.rejects(list(), isLost);
  assert.deepEqual(seen, ["a"]);
});

Deno.test("commit() replaces and deletes damaged records", async () => {
  await using dir = await tempDir();
  {
    await using store = await damagedStore(dir.path);
    assert.ok(await store.commit([set(["b"]), set(["d"], LARGE), set(["i"])]));
    assert.ok(await store.commit([{ op: "delete", key: ["g"] }]));
    const entries = await Array.fromAsync(store.list([]), ({ key, value }) => `${key}${value.length}`);
    assert.equal(entries.join(" "), "a9 b9 c9 d150000 e150000 f9 h9 i9 j9");
  }
  assert.deepEqual(await indexed(dir.path), [["d"], ["e"]]);
});

Deno.test("commit() keeps the index of large values in step with them", async () => {
  await using dir = await tempDir();
  const commit = async (...operations: KvOperation[]) => {
    await using store = await open(dir.path);
    return await store.commit(operations);
  };
  await commit(set(["a"], LARGE), set(["b"], LARGE), set(["c"]));
  assert.deepEqual(await indexed(dir.path), [["a"], ["b"]]);
  await commit(set(["a"]), set(["b"], LARGE), set(["c"], LARGE));
  assert.deepEqual(await indexed(dir.path), [["b"], ["c"]]);
  assert.equal(
    await commit({ op: "check", key: ["d"], revision: "0".repeat(20) }, set(["d"], LARGE)),
    undefined,
  );
  await commit({ op: "delete", key: ["b"] });
  assert.deepEqual(await indexed(dir.path), [["c"]]);
  assert.equal(await chunkCount(dir.path), 3);
});

Deno.test("LargeValues.open() takes off the index what an interrupted commit left on it", async () => {
  await using dir = await tempDir();
  await (await open(dir.path))[Symbol.asyncDispose]();
  await withDatabase(dir.path, async (kv) => {
    for (let i = 0; i < 120; i++) await kv.set(largeKey(["never", i]), true);
    await kv.set(headKey(["never", 7]), new Uint8Array(3));
  });
  await (await open(dir.path))[Symbol.asyncDispose]();
  assert.deepEqual(await indexed(dir.path), []);
});

for (const isWritten of [true, false]) {
  Deno.test(`LargeValues.settle() learns what is on disk when it is unknown whether a commit was done: ${isWritten}`, async () => {
    using kv = await Deno.openKv(":memory:");
    const values = await LargeValues.open(kv, "memory");
    const operations = [set(["a"], LARGE)];
    const change = await values.plan(operations, [encodeKey(["a"])]);
    assert.ok(change);
    await values.write(change);
    if (isWritten) await kv.set(headKey(["a"]), [...change.written.values()][0]);
    await values.settle(change, "unknown");
    const next = await values.plan([set(["a"])], [encodeKey(["a"])]);
    assert.deepEqual(next?.replaced, isWritten ? [...change.written.values()] : undefined);
  });
}
