import assert from "node:assert/strict";
import type { TaskRecord, TaskStatus } from "../../../a2a/mod.ts";
import { silentLogger as logger } from "../../../core/log.ts";
import { KvTaskStore } from "../../../daemon/store/kv_task_store.ts";
import { createMemoryKvStore } from "../../../kv/memory_kv_store.ts";
import { openTaskPrefix } from "../../../kv/keys.ts";
import type { KvStore } from "../../../kv/store.ts";
import { newRecord } from "../../../a2a/task_record.ts";
import { NO_TRACE } from "../../../core/tracer.ts";

const START_MS = Date.now() + 60_000;

function recordOf(taskId: string, createdAtMs: number): TaskRecord {
  return newRecord({
    taskId,
    contextId: "c",
    direction: "inbound",
    peerId: "p",
    status: "submitted",
    targetSkillId: "",
    messages: [],
    artifacts: [],
    metadata: {},
    errorMessage: "",
    createdAtMs,
    deadlineMs: 0,
    trace: NO_TRACE,
  }, { awaitsAgent: true, sendSequence: 0, envelopeIds: [], route: undefined });
}

function withStatus(record: TaskRecord, status: TaskStatus): TaskRecord {
  return { ...record, task: { ...record.task, status } };
}

/** Ids of the tasks that a node would take up after a start. */
async function openIds(kv: KvStore): Promise<string[]> {
  const records = await Array.fromAsync(new KvTaskStore({ kv, logger }).open());
  return records.map(({ task }) => task.taskId).sort();
}

async function indexed(kv: KvStore): Promise<string[]> {
  return (await Array.fromAsync(kv.list(openTaskPrefix))).map(({ key }) => String(key.at(-1))).sort();
}

/** A store that has begun, and what a test does with it. */
async function begin(kv: KvStore) {
  const store = new KvTaskStore({ kv, logger });
  assert.deepEqual(await Array.fromAsync(store.open()), []);
  const create = async (taskId: string, createdAtMs: number) => {
    const record = recordOf(taskId, createdAtMs);
    return await store.commit({ record, revision: undefined, outbox: [], withdrawn: [] });
  };
  const end = async (taskId: string) => {
    const stored = await store.load(taskId);
    if (stored === undefined) throw new Error(`${taskId} is not there`);
    const record = withStatus(stored.record, "completed");
    return await store.commit({ record, revision: stored.revision, outbox: [], withdrawn: [] });
  };
  return { store, create, end };
}

Deno.test("a task that ends soon is never on the index, and found after a start while it is open", async () => {
  const kv = createMemoryKvStore();
  const { create, end } = await begin(kv);
  await create("a", START_MS);
  await create("b", START_MS + 1);
  assert.deepEqual(await indexed(kv), []);
  assert.deepEqual(await openIds(kv), ["a", "b"]);
  await end("a");
  assert.deepEqual(await indexed(kv), []);
  assert.deepEqual(await openIds(kv), ["b"]);
});

Deno.test("tasks that stay open get onto the index after many others, and leave it when they end", async () => {
  const kv = createMemoryKvStore();
  const { create, end } = await begin(kv);
  for (let i = 0; i < 1_100; i++) {
    await create(`t${i}`, START_MS + i);
    if (i % 100 !== 0) await end(`t${i}`);
  }
  const open = Array.from({ length: 11 }, (_, i) => `t${i * 100}`).sort();
  assert.deepEqual(await openIds(kv), open);
  assert.deepEqual(await indexed(kv), open.filter((id) => id !== "t1000"));
  await end("t300");
  await end("t1000");
  assert.deepEqual(await openIds(kv), open.filter((id) => id !== "t300" && id !== "t1000"));
  assert.ok(!(await indexed(kv)).includes("t300"));
});

Deno.test("list() of open tasks gives those on the index and the newest in one order, page by page", async () => {
  const kv = createMemoryKvStore();
  const { store, create, end } = await begin(kv);
  for (let i = 0; i < 620; i++) {
    await create(`t${i}`, START_MS + i);
    if (i % 60 !== 0) await end(`t${i}`);
  }
  const ids: string[] = [];
  let pageToken = "";
  do {
    const page = await store.list({ statuses: ["submitted"], pageSize: 3, pageToken });
    ids.push(...page.tasks.map(({ taskId }) => taskId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  assert.deepEqual(ids, Array.from({ length: 11 }, (_, i) => `t${(10 - i) * 60}`));
});

Deno.test("open() finds what an earlier version has put on the index, and a task of a clock that was set back", async () => {
  const kv = createMemoryKvStore();
  const earlier = new KvTaskStore({ kv, logger }); // one that has not begun puts each on the index
  const record = recordOf("old", START_MS - 5);
  await earlier.commit({ record, revision: undefined, outbox: [], withdrawn: [] });
  assert.deepEqual(await indexed(kv), ["old"]);
  const store = new KvTaskStore({ kv, logger });
  assert.equal((await Array.fromAsync(store.open())).length, 1);
  await store.commit({ record: recordOf("back", 1_000), revision: undefined, outbox: [], withdrawn: [] });
  await store.commit({ record: recordOf("new", START_MS), revision: undefined, outbox: [], withdrawn: [] });
  assert.deepEqual(await indexed(kv), ["back", "old"]);
  assert.deepEqual(await openIds(kv), ["back", "new", "old"]);
});

Deno.test("a start finds exactly the open tasks, whichever commits failed", async () => {
  const kv = createMemoryKvStore();
  const { create, end } = await begin(kv);
  const commit = kv.commit.bind(kv);
  let random = 1;
  const next = (below: number) => (random = Math.imul(random, 48_271) >>> 0) % below;
  kv.commit = (operations) => next(10) === 0 ? Promise.reject(new Error("disk full")) : commit(operations);
  const open = new Set<string>();
  for (let i = 0; i < 2_500; i++) {
    const id = `t${i}`;
    const isThere = await create(id, START_MS + i - next(40)).then(() => true, () => false);
    if (isThere) open.add(id);
    const [oldest] = open;
    const chosen = next(30) === 0 ? oldest : id;
    if (chosen === undefined || !open.has(chosen) || next(20) === 0) continue;
    const isEnded = await end(chosen).then(() => true, () => false);
    if (isEnded) open.delete(chosen);
    if (i % 250 === 0) assert.deepEqual(await openIds(kv), [...open].sort());
  }
  assert.deepEqual(
    await openIds({ ...kv, get: kv.get.bind(kv), list: kv.list.bind(kv), commit }),
    [...open].sort(),
  );
});
