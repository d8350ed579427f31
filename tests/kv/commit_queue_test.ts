import assert from "node:assert/strict";
import { type AtomicCost, CommitQueue } from "../../kv/commit_queue.ts";

const SMALL: AtomicCost = { mutations: 1, checks: 1, bytes: 100, keyBytes: 10 };

/** A database in memory that counts its atomics; `fail` is thrown instead of writing the next. */
interface Counted extends Disposable {
  readonly kv: Deno.Kv;
  /** Sizes of the atomics so far, in parts. */
  readonly groups: number[];
  fail?: Error;
}

async function openCounted(): Promise<Counted> {
  const real = await Deno.openKv(":memory:");
  const counted: Counted = {
    groups: [],
    kv: {
      atomic: () => {
        const atomic = real.atomic();
        counted.groups.push(0);
        const commit = atomic.commit.bind(atomic);
        atomic.commit = () => {
          const { fail } = counted;
          delete counted.fail;
          return fail ? Promise.reject(fail) : commit();
        };
        return atomic;
      },
      get: real.get.bind(real),
    } as unknown as Deno.Kv,
    [Symbol.dispose]: () => real.close(),
  };
  return counted;
}

/** Sets `key` when it does not exist. */
function create(
  queue: CommitQueue,
  counted: Counted,
  options: { key: string; cost?: AtomicCost; unhurried?: boolean },
) {
  const { key, cost = SMALL, unhurried = false } = options;
  return queue.commit({
    cost,
    addTo: (atomic) => {
      counted.groups[counted.groups.length - 1]! += 1;
      atomic.check({ key: [key], versionstamp: null }).set([key], 1);
    },
  }, { unhurried });
}

const names = (count: number, prefix = "k") => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

Deno.test("CommitQueue.commit() writes one that is alone at once and the others behind it together", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  const commits = names(50).map((key) => create(queue, counted, { key }));
  assert.deepEqual(counted.groups, [1]);
  const revisions = await Promise.all(commits);
  assert.deepEqual(counted.groups, [1, 49]);
  assert.equal(new Set(revisions).size, 2);
  assert.equal((await counted.kv.get(["k49"])).versionstamp, revisions[49]);
  await queue.idle();
});

Deno.test("CommitQueue.commit() goes with the others when its caller goes on after an answer", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  await Promise.all(
    names(20).map(async (name) => {
      for (const key of names(3, name)) {
        await create(queue, counted, { key: `${name}/${key}` });
        for (let turns = 0; turns < 20; turns++) await Promise.resolve();
      }
    }),
  );
  assert.deepEqual(counted.groups, [1, 20, 20, 19]);
  await queue.idle();
});

for (
  const [limit, cost, most] of [
    ["mutations", { ...SMALL, mutations: 300 }, 3],
    ["checks", { ...SMALL, checks: 30 }, 3],
    ["bytes", { ...SMALL, bytes: 300 * 1024 }, 2],
    ["keyBytes", { ...SMALL, keyBytes: 20 * 1024 }, 3],
  ] as const
) {
  Deno.test(`CommitQueue.commit() starts the next atomic when one is full of ${limit}`, async () => {
    using counted = await openCounted();
    const queue = new CommitQueue(counted.kv);
    const revisions = await Promise.all(names(7).map((key) => create(queue, counted, { key, cost })));
    assert.ok(revisions.every((revision) => revision !== undefined));
    assert.deepEqual(counted.groups.slice(0, 3), [1, most, most]);
    await queue.idle();
  });
}

Deno.test("CommitQueue.commit() answers undefined to those alone whose check does not hold", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  await create(queue, counted, { key: "there" });
  const answered: string[] = [];
  const keys = ["first", ...names(6), "there", ...names(4, "more"), "there", "last"];
  const revisions = await Promise.all(keys.map(async (key) => {
    const revision = await create(queue, counted, { key });
    answered.push(key);
    return revision;
  }));
  assert.deepEqual(revisions.map((revision) => revision === undefined), keys.map((key) => key === "there"));
  assert.deepEqual(answered, keys);
  await queue.idle();
});

Deno.test("CommitQueue.commit() rejects all of an atomic that fails and goes on", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  const first = create(queue, counted, { key: "first" });
  counted.fail = new Error("disk is full");
  const group = names(5).map((key) => create(queue, counted, { key }));
  assert.ok(await first);
  for (const result of await Promise.allSettled(group)) {
    assert.equal(result.status, "rejected");
    assert.match(String(result.reason), /disk is full/);
  }
  assert.equal((await counted.kv.get(["k0"])).value, null);
  assert.ok(await create(queue, counted, { key: "k0" }));
  await queue.idle();
});

Deno.test("CommitQueue.commit() lets what is in no hurry go with the next one that is", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  const unhurried = names(3).map((key) => create(queue, counted, { key, unhurried: true }));
  assert.deepEqual(counted.groups, []);
  const revisions = await Promise.all([create(queue, counted, { key: "hurried" }), ...unhurried]);
  assert.deepEqual([counted.groups, new Set(revisions).size], [[4], 1]);
});

Deno.test("CommitQueue.commit() writes what is in no hurry in the end, or when it is called or closed", async () => {
  using counted = await openCounted();
  const queue = new CommitQueue(counted.kv);
  assert.ok(await create(queue, counted, { key: "alone", unhurried: true }));
  await queue.idle();
  const hurried = create(queue, counted, { key: "hurried on", unhurried: true });
  queue.hurry();
  assert.deepEqual(counted.groups, [1, 1]);
  assert.ok(await hurried);
  await queue.idle();
  const last = create(queue, counted, { key: "last", unhurried: true });
  await queue.idle();
  assert.deepEqual(counted.groups, [1, 1, 1]);
  assert.ok(await last);
});
