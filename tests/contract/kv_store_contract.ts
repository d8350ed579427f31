import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { KV_LIMITS, type KvKey, type KvOperation, type KvStore } from "../../kv/mod.ts";

/** Opens an empty store; disposing it also removes what it left behind. */
export type OpenEmptyStore = () => Promise<{ store: KvStore } & AsyncDisposable>;

/** Sizes on both sides of each border between values kept with their key and values kept in chunks. */
const SIZES = [0, 1, 61_439, 61_440, 61_441, 122_880, 122_881, 200 * 1024, 5_000_000];

/** Bytes that differ from chunk to chunk and from seed to seed. */
export function patternBytes(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const text = (value: string) => new TextEncoder().encode(value);
const set = (key: KvKey, value: string | Uint8Array = "x"): KvOperation => ({
  op: "set",
  key,
  value: typeof value === "string" ? text(value) : value,
});

/** What each store promises, tested on the one that `open` gives. */
export function testKvStoreContract(adapter: string, open: OpenEmptyStore): void {
  for (const [name, body] of contract) {
    Deno.test(`${name} (${adapter})`, async () => {
      await using opened = await open();
      await body(opened.store);
    });
  }
}

const contract = new Map<string, (store: KvStore) => Promise<void>>();
const test = contract.set.bind(contract);

async function getText(store: KvStore, key: KvKey): Promise<string | undefined> {
  const entry = await store.get(key);
  return entry && new TextDecoder().decode(entry.value);
}

async function listKeys(store: KvStore, prefix: KvKey, options = {}): Promise<KvKey[]> {
  return (await Array.fromAsync(store.list(prefix, options))).map(({ key }) => key);
}

test("get() answers undefined when nothing was set", async (store) => {
  assert.equal(await store.get(["none"]), undefined);
});

test("get() answers key, value and revision of what was set", async (store) => {
  assert.ok(await store.commit([set(["a", 1, "b"], "hello")]));
  const entry = await store.get(["a", 1, "b"]);
  assert.deepEqual(entry?.key, ["a", 1, "b"]);
  assert.deepEqual(entry?.value, text("hello"));
  assert.match(entry?.revision ?? "", /./);
});

test("get() tells keys apart that look alike", async (store) => {
  await store.commit([
    set(["1"], "string"),
    set([1], "number"),
    set(["a", "b"], "two"),
    set(["ab"], "one"),
  ]);
  assert.equal(await getText(store, ["1"]), "string");
  assert.equal(await getText(store, [1]), "number");
  assert.equal(await getText(store, ["a", "b"]), "two");
  assert.equal(await getText(store, ["ab"]), "one");
  assert.equal(await store.get(["a"]), undefined);
});

test("get() is not changed when its earlier answer is", async (store) => {
  const value = text("abc");
  await store.commit([set(["a"], value)]);
  value.fill(0);
  (await store.get(["a"]))?.value.fill(1);
  assert.equal(await getText(store, ["a"]), "abc");
});

test("commit() stores exactly the view when the value is part of a larger buffer", async (store) => {
  const buffer = patternBytes(300_000);
  await store.commit([set(["small"], buffer.subarray(10, 20)), set(["big"], buffer.subarray(5, 250_000))]);
  assert.deepEqual((await store.get(["small"]))?.value, buffer.slice(10, 20));
  assert.deepEqual((await store.get(["big"]))?.value, buffer.slice(5, 250_000));
});

test("commit() changes the revision when the value stays the same", async (store) => {
  await store.commit([set(["a"], "same")]);
  const first = await store.get(["a"]);
  await store.commit([set(["a"], "same")]);
  assert.notEqual((await store.get(["a"]))?.revision, first?.revision);
});

test("commit() deletes and accepts deleting what is not there", async (store) => {
  await store.commit([set(["a"]), set(["b"])]);
  assert.ok(await store.commit([{ op: "delete", key: ["a"] }, { op: "delete", key: ["none"] }]));
  assert.equal(await store.get(["a"]), undefined);
  assert.deepEqual(await listKeys(store, []), [["b"]]);
});

test("commit() answers a revision when there is nothing to do", async (store) => {
  assert.ok(await store.commit([]));
});

test("get() answers values of all sizes whole", async (store) => {
  for (const size of SIZES) {
    const value = patternBytes(size, size + 1);
    assert.ok(await store.commit([set(["v", size], value)]));
    assert.ok(Buffer.from((await store.get(["v", size]))?.value ?? []).equals(value), `${size} bytes`);
  }
  const listed = await Array.fromAsync(store.list(["v"]));
  assert.deepEqual(listed.map(({ value }) => value.length), SIZES);
});

test("commit() replaces large by small, small by large and large by large", async (store) => {
  for (const size of [200_000, 10, 300_000, 100_000, 0, 70_000]) {
    const value = patternBytes(size, size + 7);
    await store.commit([set(["v"], value)]);
    assert.ok(Buffer.from((await store.get(["v"]))?.value ?? []).equals(value), `${size} bytes`);
  }
  await store.commit([{ op: "delete", key: ["v"] }]);
  assert.equal(await store.get(["v"]), undefined);
});

test("commit() takes many middle-sized values at once", async (store) => {
  const operations = Array.from({ length: 40 }, (_, i) => set(["v", i], patternBytes(50_000, i)));
  assert.ok(await store.commit(operations));
  for await (const { key, value } of store.list(["v"])) {
    assert.ok(Buffer.from(value).equals(patternBytes(50_000, Number(key[1]))), `value ${key[1]}`);
  }
});

test("get() and list() never answer half a value when it is replaced meanwhile", async (store) => {
  const values = [patternBytes(400_000, 1), patternBytes(90_000, 2), patternBytes(20, 3)];
  await store.commit([set(["v"], values[0])]);
  let writing = true;
  const reader = async (read: () => Promise<Uint8Array | undefined>) => {
    let reads = 0;
    for (; writing || reads === 0; reads++) {
      const found = Buffer.from(await read() ?? []);
      assert.ok(values.some((value) => found.equals(value)), `read ${found.length} bytes`);
    }
  };
  const get = async () => (await store.get(["v"]))?.value;
  const list = async () => (await Array.fromAsync(store.list([])))[0]?.value;
  const readers = [get, get, get, get, get, get, list, list].map(reader);
  for (let i = 0; i < 30; i++) await store.commit([set(["v"], values[i % 3])]);
  writing = false;
  await Promise.all(readers);
});

test("get() answers all of a value or nothing when it is deleted meanwhile", async (store) => {
  const value = patternBytes(20_000_000);
  await store.commit([set(["v"], value)]);
  const reads = Array.from({ length: 6 }, () => store.get(["v"]));
  await store.commit([{ op: "delete", key: ["v"] }]);
  for (const entry of await Promise.all(reads)) {
    assert.ok(entry === undefined || Buffer.from(entry.value).equals(value));
  }
});

test("commit() is false and changes nothing when a check does not hold", async (store) => {
  await store.commit([set(["a"], "old")]);
  const entry = await store.get(["a"]);
  await store.commit([set(["a"], "new")]);
  const stale: KvOperation = { op: "check", key: ["a"], revision: entry?.revision };
  const absent: KvOperation = { op: "check", key: ["a"], revision: undefined };
  const foreign: KvOperation = { op: "check", key: ["a"], revision: "not a revision" };
  const missing: KvOperation = { op: "check", key: ["none"], revision: entry?.revision };
  for (const check of [stale, absent, foreign, missing]) {
    const changes = [set(["b"]), set(["big"], patternBytes(200_000)), set(["a"], "newer")];
    assert.equal(await store.commit([...changes, check]), undefined);
  }
  assert.equal(await getText(store, ["a"]), "new");
  assert.deepEqual(await listKeys(store, []), [["a"]]);
});

test("commit() goes through when all checks hold", async (store) => {
  await store.commit([set(["a"], "old")]);
  const entry = await store.get(["a"]);
  const revision = await store.commit([
    { op: "check", key: ["a"], revision: entry?.revision },
    { op: "check", key: ["b"], revision: undefined },
    { op: "delete", key: ["a"] },
    set(["b"], "new"),
  ]);
  assert.equal(revision, (await store.get(["b"]))?.revision);
  assert.deepEqual(await listKeys(store, []), [["b"]]);
});

test("commit() checks large values like small ones", async (store) => {
  await store.commit([set(["a"], patternBytes(200_000))]);
  const entry = await store.get(["a"]);
  const check: KvOperation = { op: "check", key: ["a"], revision: entry?.revision };
  assert.ok(await store.commit([check, set(["a"], patternBytes(200_000))]));
  assert.equal(await store.commit([check, set(["a"], "lost")]), undefined);
  assert.deepEqual((await store.get(["a"]))?.value.length, 200_000);
});

for (const size of [10, 100_000]) {
  test(`commit() lets exactly one of many create a key of ${size} bytes`, async (store) => {
    const attempts = Array.from(
      { length: 20 },
      (_, i) =>
        store.commit([{ op: "check", key: ["a"], revision: undefined }, set(["a"], patternBytes(size, i))]),
    );
    const won = (await Promise.all(attempts)).flatMap((revision, i) => revision === undefined ? [] : [i]);
    assert.equal(won.length, 1);
    assert.deepEqual((await store.get(["a"]))?.value, patternBytes(size, won[0]));
  });
}

test("commit() loses no increment when many count with checks", async (store) => {
  const increment = async () => {
    while (true) {
      const entry = await store.get(["n"]);
      const n = Number(await getText(store, ["n"]) ?? 0);
      const check: KvOperation = { op: "check", key: ["n"], revision: entry?.revision };
      if (await store.commit([check, set(["n"], String(n + 1))])) return;
    }
  };
  await Promise.all(Array.from({ length: 12 }, increment));
  assert.equal(await getText(store, ["n"]), "12");
});

test("commit() answers the revision of all it set and undefined when a check did not hold", async (store) => {
  const first = await store.commit([set(["a"]), set(["b"], patternBytes(100_000)), set(["c"])]);
  assert.ok(first);
  for (const key of ["a", "b", "c"]) assert.equal((await store.get([key]))?.revision, first);
  const check = (revision: string | undefined): KvOperation => ({ op: "check", key: ["a"], revision });
  const second = await store.commit([check(first), set(["a"]), { op: "delete", key: ["c"] }]);
  assert.ok(second);
  assert.notEqual(second, first);
  assert.equal((await store.get(["a"]))?.revision, second);
  assert.equal(await store.commit([check(first), set(["a"])]), undefined);
  assert.ok(await store.commit([check(second)]));
  assert.ok(await store.commit([{ op: "delete", key: ["a"] }]));
});

test("commit() does what was called first first when many name one key at once", async (store) => {
  const values = Array.from({ length: 12 }, (_, i) => patternBytes(i % 4 === 3 ? 70_000 : 20, i));
  const revisions = await Promise.all(values.map((value) => store.commit([set(["v"], value)])));
  assert.equal(new Set(revisions).size, values.length);
  const entry = await store.get(["v"]);
  assert.deepEqual(entry?.value, values.at(-1));
  assert.equal(entry?.revision, revisions.at(-1));
});

test("commit() lets one of two through at once when each checks what the other sets", async (store) => {
  const absent = (key: string): KvOperation => ({ op: "check", key: [key], revision: undefined });
  for (const other of ["small", patternBytes(100_000)]) {
    await store.commit([{ op: "delete", key: ["a"] }, { op: "delete", key: ["b"] }]);
    const [first, second] = await Promise.all([
      store.commit([absent("a"), set(["b"], other)]),
      store.commit([absent("b"), set(["a"], other)]),
    ]);
    assert.ok(first);
    assert.equal(second, undefined);
    assert.deepEqual(await listKeys(store, []), [["b"]]);
  }
});

test("commit() sees at once what was deleted, set and checked before it", async (store) => {
  const old = await store.commit([set(["a"], "old")]);
  const check = (revision: string | undefined): KvOperation => ({ op: "check", key: ["a"], revision });
  const results = await Promise.all([
    store.commit([check(old), set(["first"])]),
    store.commit([{ op: "delete", key: ["a"] }]),
    store.commit([check(old), set(["stale"])]),
    store.commit([check(undefined), set(["a"], "new")]),
    store.commit([check(undefined), set(["stale"])]),
  ]);
  assert.deepEqual(results.map((revision) => revision !== undefined), [true, true, false, true, false]);
  assert.deepEqual(await listKeys(store, []), [["a"], ["first"]]);
  assert.equal(await getText(store, ["a"]), "new");
});

test("commit() refuses only those whose checks do not hold when many run at once", async (store) => {
  await store.commit([set(["there"])]);
  const isGuilty = (i: number) => i % 17 === 5 || i === 88 || i === 89;
  const results = await Promise.all(Array.from({ length: 150 }, (_, i) =>
    store.commit([
      { op: "check", key: isGuilty(i) ? ["there"] : ["v", i], revision: undefined },
      set(["v", i], patternBytes(i === 30 ? 90_000 : 600, i)),
      set(["index", i]),
    ])));
  const done = results.flatMap((revision, i) => revision === undefined ? [] : [i]);
  assert.deepEqual(done, [...results.keys()].filter((i) => !isGuilty(i)));
  assert.deepEqual(await listKeys(store, ["index"]), done.map((i) => ["index", i]));
  for await (const { key, value, revision } of store.list(["v"])) {
    const i = Number(key[1]);
    assert.ok(Buffer.from(value).equals(patternBytes(i === 30 ? 90_000 : 600, i)), `value ${i}`);
    assert.equal(revision, results[i]);
  }
});

test("commit() resolves in the order of the calls when small ones run at once", async (store) => {
  const resolved: number[] = [];
  await Promise.all(Array.from({ length: 250 }, async (_, i) => {
    await store.commit([{ op: "check", key: ["v", i], revision: undefined }, set(["v", i])]);
    resolved.push(i);
  }));
  assert.deepEqual(resolved, [...resolved.keys()]);
});

test("commit() takes many at once that together pass each limit of one", async (store) => {
  const changes = (name: string, count: number) => Array.from({ length: count }, (_, i) => set([name, i]));
  const checks = (name: string) =>
    Array.from({ length: 60 }, (_, i): KvOperation => ({ op: "check", key: [name, i], revision: undefined }));
  const commits = [
    ...Array.from({ length: 6 }, (_, i) => changes(`changes ${i}`, 400)),
    ...Array.from({ length: 6 }, (_, i) => [...checks(`checks ${i}`), set([`checks ${i}`])]),
    ...Array.from({ length: 40 }, (_, i) => [set(["bytes", i], patternBytes(55_000, i))]),
    ...Array.from({ length: 6 }, (_, i) => changes(`${i}`.padEnd(900, "k"), 50)),
  ];
  const results = await Promise.all(commits.map((operations) => store.commit(operations)));
  assert.ok(results.every((revision) => revision !== undefined));
  assert.equal((await listKeys(store, [])).length, 6 * 400 + 6 + 40 + 6 * 50);
});

test("list() tells nothing of damage when there is none", async (store) => {
  await store.commit([set(["a"]), set(["b"], patternBytes(100_000)), set(["c"])]);
  const onDamaged = () => assert.fail("nothing is damaged");
  assert.deepEqual(await listKeys(store, [], { onDamaged }), [["a"], ["b"], ["c"]]);
});

const ordered: KvKey[] = [
  ["p", ""],
  ["p", "", ""],
  ["p", "\0"],
  ["p", "\u0001"],
  ["p", "a"],
  ["p", "a", "\0"],
  ["p", "a", "b"],
  ["p", "a", 0],
  ["p", "a\0"],
  ["p", "a\u0001"],
  ["p", "aa"],
  ["p", "b"],
  ["p", "é"],
  ["p", "\uffee"],
  ["p", "😀"],
  ["p", -1e300],
  ["p", -2],
  ["p", -1.5],
  ["p", 0],
  ["p", 0.5],
  ["p", 2],
  ["p", 10],
  ["p", 1_700_000_000_000],
  ["p", 1_700_000_000_000, "a"],
];
const fill = async (store: KvStore) => {
  const shuffled = ordered.map((key, i) => ({ key, at: (i * 7) % ordered.length }));
  await store.commit(shuffled.sort((a, b) => a.at - b.at).map(({ key }) => set(key)));
  await store.commit([set(["p"]), set(["o", "z"]), set(["p\0"]), set(["pp", 1]), set(["q"]), set([1])]);
};

test("list() gives strings by code point, then numbers, shorter keys first", async (store) => {
  await fill(store);
  assert.deepEqual(await listKeys(store, ["p"]), ordered);
  assert.deepEqual(await listKeys(store, ["p"], { reverse: true }), ordered.toReversed());
});

test("list() gives everything when the prefix is empty", async (store) => {
  await fill(store);
  const keys = await listKeys(store, []);
  assert.deepEqual(keys, [["o", "z"], ["p"], ...ordered, ["p\0"], ["pp", 1], ["q"], [1]]);
});

test("list() gives what is below a key and not its siblings", async (store) => {
  await fill(store);
  assert.deepEqual(await listKeys(store, ["p", "a"]), [["p", "a", "\0"], ["p", "a", "b"], ["p", "a", 0]]);
  assert.deepEqual(await listKeys(store, ["p", "b"]), []);
  assert.deepEqual(await listKeys(store, ["p", "a"], { reverse: true, limit: 1 }), [["p", "a", 0]]);
});

test("list() pages through everything with limit and after in both directions", async (store) => {
  await fill(store);
  for (const reverse of [false, true]) {
    const found: KvKey[] = [];
    let page: KvKey[] = [];
    do {
      const after = found.at(-1);
      page = await listKeys(store, ["p"], { limit: 5, reverse, ...after && { after } });
      found.push(...page);
    } while (page.length === 5);
    assert.deepEqual(found, reverse ? ordered.toReversed() : ordered);
  }
});

test("list() goes on behind a key that does not exist", async (store) => {
  await fill(store);
  assert.deepEqual(await listKeys(store, ["p"], { after: ["p", 3] }), ordered.slice(-3));
  assert.deepEqual(await listKeys(store, ["p"], { after: ["p", ""], reverse: true }), []);
  assert.deepEqual(await listKeys(store, ["p"], { after: ["p", "aaa"], limit: 1 }), [["p", "b"]]);
});

test("list() gives more than one batch of the database", async (store) => {
  const keys = Array.from({ length: 450 }, (_, i): KvKey => ["n", i]);
  await store.commit(keys.map((key) => set(key)));
  assert.deepEqual(await listKeys(store, ["n"]), keys);
  assert.deepEqual(await listKeys(store, ["n"], { limit: 250 }), keys.slice(0, 250));
});

test("list() can delete what it gives", async (store) => {
  const keys = Array.from({ length: 150 }, (_, i): KvKey => ["n", i]);
  await store.commit(keys.map((key) => set(key)));
  for await (const { key } of store.list(["n"])) await store.commit([{ op: "delete", key }]);
  assert.deepEqual(await listKeys(store, []), []);
});

const code = (expected: string) => (error: unknown) => error instanceof CodedError && error.code === expected;

test("commit() throws resource_exhausted when a limit is passed and changes nothing", async (store) => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => set(["n", i]));
  const checks = (count: number) =>
    Array.from({ length: count }, (_, i): KvOperation => ({ op: "check", key: [i], revision: undefined }));
  const longKeys = Array.from({ length: 80 }, (_, i) => set(["k".repeat(900), i]));
  const tooMuch = [
    many(KV_LIMITS.changesPerCommit + 1),
    checks(KV_LIMITS.checksPerCommit + 1),
    longKeys,
    [set(["v"], new Uint8Array(KV_LIMITS.valueBytes + 1))],
  ];
  for (const operations of tooMuch) {
    await assert.rejects(store.commit([set(["first"]), ...operations]), code("resource_exhausted"));
  }
  assert.deepEqual(await listKeys(store, []), []);
});

test("commit() takes what the limits allow all at once", async (store) => {
  const keyPart = "k".repeat(90);
  const changes = Array.from(
    { length: KV_LIMITS.changesPerCommit },
    (_, i) => set([keyPart, i], patternBytes(1500, i)),
  );
  changes[0] = set([keyPart, 0], patternBytes(5_000_000));
  const checks = Array.from({ length: KV_LIMITS.checksPerCommit }, (_, i): KvOperation => (
    { op: "check", key: ["none", i], revision: undefined }
  ));
  assert.ok(await store.commit([...checks, ...changes]));
  const values = await Array.fromAsync(store.list([]));
  assert.equal(values.length, KV_LIMITS.changesPerCommit);
  assert.deepEqual(values.at(-1)?.value, patternBytes(1500, KV_LIMITS.changesPerCommit - 1));
});

test("get() and commit() throw invalid_argument when a key is too long", async (store) => {
  for (const part of ["x".repeat(KV_LIMITS.keyBytes), "😀".repeat(300), "x".repeat(1_000_000)]) {
    await assert.rejects(store.get([part]), code("invalid_argument"));
    await assert.rejects(store.commit([set([part])]), code("invalid_argument"));
  }
  const longest = ["x".repeat(KV_LIMITS.keyBytes - 2)];
  await store.commit([set(longest)]);
  assert.deepEqual(await listKeys(store, []), [longest]);
  assert.deepEqual(await listKeys(store, [], { after: longest }), []);
});

test("get(), list() and commit() throw TypeError or RangeError when called wrongly", async (store) => {
  for (const key of [[], [NaN], [Infinity], [-0], ["\ud800"], [true as unknown as string]]) {
    await assert.rejects(store.get(key), TypeError);
    await assert.rejects(store.commit([set(key)]), TypeError);
  }
  await assert.rejects(store.commit([set(["a"]), { op: "delete", key: ["a"] }]), TypeError);
  for (const limit of [0, -1, 1.5, NaN]) {
    await assert.rejects(listKeys(store, [], { limit }), RangeError);
  }
  for (const after of [["p"], ["q", 1], []]) {
    await assert.rejects(listKeys(store, ["p"], { after }), TypeError);
  }
});

test("get(), list() and commit() throw unavailable when the store is closed", async (store) => {
  await store.commit([set(["a"]), set(["b"])]);
  const running = store.list([])[Symbol.asyncIterator]();
  await running.next();
  await store[Symbol.asyncDispose]();
  await assert.rejects(store.get(["a"]), code("unavailable"));
  await assert.rejects(store.commit([set(["a"])]), code("unavailable"));
  await assert.rejects(listKeys(store, []), code("unavailable"));
  await assert.rejects(running.next(), code("unavailable"));
  await store[Symbol.asyncDispose]();
});

test("dispose waits for commits that run", async (store) => {
  const commits = [set(["a"]), set(["b"], patternBytes(500_000))].map((change) => store.commit([change]));
  await store[Symbol.asyncDispose]();
  assert.ok((await Promise.all(commits)).every((revision) => revision !== undefined));
});
