import assert from "node:assert/strict";
import type { OutboxEntry, TaskRecord, TaskStep } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import { KvTaskStore } from "../../../daemon/store/kv_task_store.ts";
import {
  createMemoryKvStore,
  type KvKey,
  type KvListOptions,
  outboxKey,
  removedTaskKey,
  taskByTimeKey,
  taskKey,
  webhookKey,
} from "../../../kv/mod.ts";
import { textMessage } from "../../support/engine_net.ts";

const GARBAGE = new Uint8Array([255, 255, 255]);

function recordOf(taskId: string, changes: Partial<TaskRecord["task"]> = {}): TaskRecord {
  return {
    task: {
      taskId,
      contextId: "c",
      direction: "inbound",
      peerId: "p",
      status: "submitted",
      targetSkillId: "",
      messages: [textMessage("hi")],
      artifacts: [],
      metadata: {},
      errorMessage: "",
      createdAtMs: 1_000,
      updatedAtMs: 1_000,
      generation: 1,
      deadlineMs: 0,
      trace: { traceParent: "", traceState: "" },
      cancelRequested: false,
      ...changes,
    },
    events: [{ generation: 1, status: "submitted", atMs: 1_000, messageId: "" }],
    envelopeIds: ["e1", "e2"],
    awaitsAgent: true,
    claimId: "claim",
    sendSequence: 7,
    route: { skillId: "s", tags: { k: "v" }, refusals: [{ peerId: "q", reason: "no" }] },
  };
}

function entryOf(sequence: number, changes: Partial<OutboxEntry> = {}): OutboxEntry {
  return {
    peerId: "p",
    lane: "requests",
    sequence,
    taskId: "t",
    envelopeId: `e${sequence}`,
    type: "send_task",
    bytes: new Uint8Array([1, 2, 3]),
    queuedAtMs: 1_000,
    expiresAtMs: 9_000,
    ...changes,
  };
}

function stepOf(record: TaskRecord, changes: Partial<TaskStep> = {}): TaskStep {
  return { record, revision: undefined, outbox: [], withdrawn: [], ...changes };
}

/** A store in memory of which a test can damage values, and look at them with a fresh cache. */
function damageable() {
  const kv = createMemoryKvStore();
  const damaged = new Set<string>();
  const { get, list } = { get: kv.get.bind(kv), list: kv.list.bind(kv) };
  const error = new CodedError("data_loss", "a bit has flipped");
  kv.get = (key) => damaged.has(String(key)) ? Promise.reject(error) : get(key);
  kv.list = async function* (prefix: KvKey, options: KvListOptions = {}) {
    for await (const entry of list(prefix, options)) {
      if (!damaged.has(String(entry.key))) yield entry;
      else if (options.onDamaged === undefined) throw error;
      else options.onDamaged(entry.key, error);
    }
  };
  const commit = kv.commit.bind(kv);
  kv.commit = async (operations) => {
    const revision = await commit(operations);
    for (const { op, key } of operations) if (op !== "check") damaged.delete(String(key));
    return revision;
  };
  return {
    kv,
    damage: (key: KvKey) => damaged.add(String(key)),
    spoil: (key: KvKey) => kv.commit([{ op: "set", key, value: GARBAGE }]),
    open: () => new KvTaskStore({ kv, logger: silentLogger }),
    keys: async (first: string) => (await Array.fromAsync(list([first]))).map(({ key }) => key.join("/")),
  };
}

Deno.test("commit() writes a record that load() gives back whole, also without the cache", async () => {
  const { open } = damageable();
  const record = recordOf("t");
  const written = await open().commit(stepOf(record));
  const read = await open().load("t");
  assert.deepEqual(read, written);
  assert.deepEqual(read?.record, record);
  assert.equal(await open().load("other"), undefined);
});

Deno.test("commit() answers undefined and changes nothing when the record has moved on", async () => {
  const { open, keys } = damageable();
  const store = open();
  const first = await store.commit(stepOf(recordOf("t")));
  const other = await open().commit(
    stepOf(recordOf("t", { generation: 2 }), { revision: first?.revision }),
  );
  assert.ok(other);
  const late = { revision: first?.revision, outbox: [entryOf(1)] };
  assert.equal(await store.commit(stepOf(recordOf("t", { generation: 3 }), late)), undefined);
  assert.equal(await store.commit(stepOf(recordOf("t"))), undefined);
  assert.deepEqual(await keys("outbox"), []);
  assert.equal((await store.load("t"))?.record.task.generation, 2);
});

Deno.test("commit() that throws leaves nothing stale in the cache", async () => {
  const { kv, open } = damageable();
  const store = open();
  const first = await store.commit(stepOf(recordOf("t")));
  const { commit } = kv;
  kv.commit = async (operations) => {
    await commit(operations);
    throw new Error("the disk did not say whether it has it");
  };
  const step = stepOf(recordOf("t", { generation: 2 }), { revision: first?.revision });
  await assert.rejects(store.commit(step));
  assert.equal(store.cached("t"), undefined);
  assert.equal((await store.load("t"))?.record.task.generation, 2);
});

Deno.test("commit() writes, withdraws and ends in one go", async () => {
  const { open, keys } = damageable();
  const store = open();
  const first = await store.commit(stepOf(recordOf("t"), { outbox: [entryOf(1), entryOf(2)] }));
  assert.equal((await keys("open_task")).length, 1);
  await store.commit(stepOf(recordOf("t", { status: "canceled" }), {
    revision: first?.revision,
    withdrawn: [entryOf(1)],
    outbox: [entryOf(3, { lane: "reports" })],
  }));
  assert.deepEqual(await keys("outbox"), ["outbox/p/2", "outbox/p/reports/3"]);
  assert.deepEqual(await keys("open_task"), []);
});

Deno.test("outbox() gives a lane in order, from behind a sequence, and outboxPeers() counts it", async () => {
  const { open } = damageable();
  const store = open();
  const outbox = [entryOf(3), entryOf(1), entryOf(2, { lane: "reports" }), entryOf(10), entryOf(9)];
  await store.commit(stepOf(recordOf("t"), { outbox }));
  const lane = { peerId: "p", lane: "requests" } as const;
  const read = await store.outbox(lane, { limit: 2, after: 1 });
  assert.deepEqual(read, [entryOf(3), entryOf(9)]);
  assert.deepEqual(await open().outboxPeers(), [
    { peerId: "p", lane: "requests", lastSequence: 10, count: 4, bytes: 12 },
    { peerId: "p", lane: "reports", lastSequence: 2, count: 1, bytes: 3 },
  ]);
});

Deno.test("outbox() sets damaged entries aside and fills the page with what is behind them", async () => {
  const { open, damage, spoil, keys } = damageable();
  await open().commit(stepOf(recordOf("t"), { outbox: [1, 2, 3, 4].map((n) => entryOf(n)) }));
  await spoil(outboxKey("p", 1));
  damage(outboxKey("p", 2));
  const read = await open().outbox({ peerId: "p", lane: "requests" }, { limit: 2, after: 0 });
  assert.deepEqual(read, [entryOf(3), entryOf(4)]);
  assert.deepEqual(await keys("damaged"), ["damaged/outbox/p/1", "damaged/outbox/p/2"]);
  assert.deepEqual(await keys("outbox"), ["outbox/p/3", "outbox/p/4"]);
});

Deno.test("list(), open() and removeEnded() go past damaged records, which are set aside", async () => {
  for (const way of ["damage", "spoil"] as const) {
    const { open, keys, ...ruin } = damageable();
    const store = open();
    for (const taskId of ["t1", "t2", "t3"]) await store.commit(stepOf(recordOf(taskId)));
    await ruin[way](taskKey("t2"));
    const ids = (await open().list({ pageSize: 10 })).tasks.map(({ taskId }) => taskId);
    assert.deepEqual(ids, ["t3", "t1"]);
    assert.deepEqual(await keys("damaged"), ["damaged/task/t2"]);
    const left = (await Array.fromAsync(open().open())).map(({ task }) => task.taskId);
    assert.deepEqual(left, ["t1", "t3"]);
    assert.equal((await keys("open_task")).length, 2);
    assert.equal((await keys("task_by_time")).length, 2);
    const now = { endedBeforeMs: 10_000, maxTasks: 0, rememberUntilMs: 20_000, nowMs: 10_000 };
    const { signal } = new AbortController();
    assert.deepEqual(await Array.fromAsync(open().removeEnded({ ...now, signal })), []);
  }
});

Deno.test("list() and open() take index entries whose worthless values are damaged", async () => {
  const { open, damage } = damageable();
  for (const taskId of ["t1", "t2", "t3"]) await open().commit(stepOf(recordOf(taskId)));
  for (const taskId of ["t1", "t3"]) damage(taskByTimeKey(1_000, taskId));
  const { tasks } = await open().list({ pageSize: 10 });
  assert.deepEqual(tasks.map(({ taskId }) => taskId).sort(), ["t1", "t2", "t3"]);
});

Deno.test("load() tells of a damaged record once and has none after that", async () => {
  const { open, spoil } = damageable();
  await open().commit(stepOf(recordOf("t")));
  await spoil(taskKey("t"));
  await assert.rejects(open().load("t"), { code: "data_loss" });
  assert.equal(await open().load("t"), undefined);
});

Deno.test("removeEnded() removes by age, spares what has not ended, and remembers received tasks for a time", async () => {
  const { open, keys, spoil } = damageable();
  const store = open();
  const ended = { status: "completed", updatedAtMs: 2_000 } as const;
  await store.commit(stepOf(recordOf("in", ended)));
  await store.commit(stepOf(recordOf("out", { ...ended, direction: "outbound" })));
  await store.commit(stepOf(recordOf("young", { ...ended, updatedAtMs: 6_000 })));
  await store.commit(stepOf(recordOf("open")));
  const { signal } = new AbortController();
  const retention = { endedBeforeMs: 5_000, maxTasks: 100, rememberUntilMs: 20_000, nowMs: 10_000, signal };
  assert.deepEqual((await Array.fromAsync(store.removeEnded(retention))).flat(), ["in", "out"]);
  assert.equal(await store.load("in"), undefined);
  assert.deepEqual(
    [await store.wasRemoved("in"), await store.wasRemoved("out"), await open().wasRemoved("in")],
    [true, false, true],
  );
  await spoil(removedTaskKey("spoilt"));
  await Array.fromAsync(store.removeEnded({ ...retention, nowMs: 20_000 }));
  assert.equal(await store.wasRemoved("in"), false);
  assert.deepEqual(await keys("removed_task"), []);
});

Deno.test("removeEnded() removes the webhooks of callers' tasks with them", async () => {
  const { kv, open } = damageable();
  const store = open();
  const ended = { status: "completed", updatedAtMs: 2_000, peerId: "http:alice" } as const;
  await store.commit(stepOf(recordOf("old", ended)));
  await store.commit(stepOf(recordOf("young", { ...ended, updatedAtMs: 6_000 })));
  for (const taskId of ["old", "young"]) {
    await kv.commit([{ op: "set", key: webhookKey(taskId, "c"), value: new Uint8Array(1) }]);
  }
  const { signal } = new AbortController();
  const retention = { endedBeforeMs: 5_000, maxTasks: 100, rememberUntilMs: 20_000, nowMs: 10_000, signal };
  assert.deepEqual((await Array.fromAsync(store.removeEnded(retention))).flat(), ["old"]);
  assert.equal(await kv.get(webhookKey("old", "c")), undefined);
  assert.ok(await kv.get(webhookKey("young", "c")));
});

Deno.test("removeEnded() removes the oldest ended tasks of too many, also with the longest ids", async () => {
  const { open } = damageable();
  const store = open();
  const ids = Array.from({ length: 60 }, (_, i) => `${i}`.padStart(2, "0") + "€".repeat(254));
  for (const [i, taskId] of ids.entries()) {
    await store.commit(stepOf(recordOf(taskId, { status: "failed", createdAtMs: i, updatedAtMs: 9_000 })));
  }
  const { signal } = new AbortController();
  const retention = { endedBeforeMs: 0, maxTasks: 5, rememberUntilMs: 20_000, nowMs: 10_000, signal };
  const removed = (await Array.fromAsync(store.removeEnded(retention))).flat();
  assert.deepEqual(removed, ids.slice(0, 55));
  await Array.fromAsync(store.removeEnded({ ...retention, nowMs: 30_000 }));
  assert.equal(await store.wasRemoved(ids[0]!), false);
});

Deno.test("list() leaves the cache to the tasks that change", async () => {
  const { open } = damageable();
  await open().commit(stepOf(recordOf("t")));
  const store = open();
  await store.list({ pageSize: 10 });
  assert.equal(store.cached("t"), undefined);
});

Deno.test("list() answers a short page and goes on after it when few of many tasks match", async () => {
  await using kv = createMemoryKvStore();
  const store = new KvTaskStore({ kv, logger: silentLogger });
  for (let i = 0; i < 1_100; i++) {
    const createdAtMs = 1_000 + i;
    const status = i === 0 ? "failed" : i === 1 ? "submitted" : "completed";
    await store.commit(stepOf(recordOf(`t${i}`, { createdAtMs, status })));
  }
  const first = await store.list({ pageSize: 10, statuses: ["failed"] });
  assert.deepEqual(first.tasks, []);
  const second = await store.list({ pageSize: 10, statuses: ["failed"], pageToken: first.nextPageToken });
  assert.deepEqual([second.tasks.map((task) => task.taskId), second.nextPageToken], [["t0"], ""]);
  const open = await store.list({ pageSize: 10, statuses: ["submitted", "working"] });
  assert.deepEqual([open.tasks.map((task) => task.taskId), open.nextPageToken], [["t1"], ""]);
});

for (const what of ["a commit that throws", "a removal"] as const) {
  Deno.test(`load() keeps nothing stale at hand when ${what} comes between`, async () => {
    const kv = createMemoryKvStore();
    const record = recordOf("t", { status: "completed" });
    const first = await new KvTaskStore({ kv, logger: silentLogger }).commit(stepOf(record));
    const [reading, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const get = kv.get.bind(kv);
    kv.get = async (key) => {
      const found = await get(key);
      reading.resolve();
      await goOn.promise;
      return found;
    };
    const store = new KvTaskStore({ kv, logger: silentLogger });
    const loading = store.load("t");
    await reading.promise;
    kv.get = get;
    if (what === "a removal") {
      const signal = new AbortController().signal;
      const retention = {
        endedBeforeMs: 9_000,
        maxTasks: 10,
        rememberUntilMs: 20_000,
        nowMs: 10_000,
        signal,
      };
      await Array.fromAsync(store.removeEnded(retention));
    } else {
      const commit = kv.commit.bind(kv);
      kv.commit = async (operations) => {
        await commit(operations);
        throw new Error("written all the same");
      };
      await assert.rejects(store.commit(stepOf(record, { revision: first!.revision })));
    }
    goOn.resolve();
    await loading;
    assert.equal(store.cached("t"), undefined);
  });
}

Deno.test("ofCaller() tells the tasks received from a caller and sent for it, last changed first, until they are removed", async () => {
  await using kv = createMemoryKvStore();
  const store = new KvTaskStore({ kv, logger: silentLogger });
  const alice = "http:alice";
  const commit = (record: TaskRecord, revision?: string) =>
    store.commit({ record, revision, outbox: [], withdrawn: [] });
  const first = await commit(recordOf("t1", { peerId: alice }));
  await commit(recordOf("t2", { peerId: "http:bob" }));
  await commit(recordOf("t3", { direction: "outbound", peerId: "p", caller: alice, updatedAtMs: 2_000 }));
  await commit(recordOf("t4"));
  assert.deepEqual((await store.ofCaller(alice)).map(({ taskId }) => taskId), ["t3", "t1"]);
  await commit(recordOf("t1", { peerId: alice, status: "completed", updatedAtMs: 3_000 }), first?.revision);
  assert.deepEqual(await store.ofCaller(alice), [
    { taskId: "t1", contextId: "c", status: "completed", updatedAtMs: 3_000, peerId: "" },
    { taskId: "t3", contextId: "c", status: "submitted", updatedAtMs: 2_000, peerId: "p" },
  ]);
  const signal = new AbortController().signal;
  const retention = { endedBeforeMs: 4_000, maxTasks: 10, rememberUntilMs: 0, nowMs: 4_000, signal };
  for await (const _ids of store.removeEnded(retention));
  assert.deepEqual((await store.ofCaller(alice)).map(({ taskId }) => taskId), ["t3"]);
});

Deno.test("removeOutbox() is in no hurry: what it removes does no harm when it is sent again", async () => {
  const kv = createMemoryKvStore();
  const commit = kv.commit.bind(kv);
  const unhurried: unknown[] = [];
  kv.commit = (operations, options) => {
    unhurried.push(options?.unhurried);
    return commit(operations);
  };
  const store = new KvTaskStore({ kv, logger: silentLogger });
  await store.commit(stepOf(recordOf("t"), { outbox: [entryOf(1)] }));
  await store.removeOutbox([entryOf(1)]);
  assert.deepEqual(await store.outbox(entryOf(1), { limit: 1, after: 0 }), []);
  assert.deepEqual(unhurried, [undefined, true]);
});
