import type { TaskRecord } from "../a2a/mod.ts";
import { silentLogger } from "../core/log.ts";
import { type KvKey, type KvOperation, type KvStore, openDenoKvStore } from "../kv/mod.ts";
import { KvTaskStore } from "./daemon_parts.ts";

/** Tasks written as one commit; a task changes up to four keys, and a commit at most 500. */
const TASKS_PER_COMMIT = 100;
/** How long ago the oldest stored task was made. */
const AGE_MS = 60 * 60 * 1000;
/** A peer that nobody can reach: the stored tasks are over, nothing is sent to it. */
const PEER_ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/** The id of the stored task with this number. */
export function storedTaskId(index: number): string {
  return `stored-${index}`;
}

/** Adds completed tasks to the store in `directory`, numbered from `from` up to but without `to`. */
export async function fillStore(
  directory: string,
  { from, to }: { from: number; to: number },
): Promise<void> {
  await using kv = await openDenoKvStore({ directory });
  const startMs = Date.now() - AGE_MS;
  for (let first = from; first < to; first += TASKS_PER_COMMIT) {
    const bulk = new BulkWriter(kv);
    const store = new KvTaskStore({ kv: bulk, logger: silentLogger });
    for (let index = first; index < Math.min(to, first + TASKS_PER_COMMIT); index++) {
      await store.commit({
        record: toRecord(index, startMs),
        revision: undefined,
        outbox: [],
        withdrawn: [],
      });
    }
    await bulk.flush();
  }
}

function toRecord(index: number, startMs: number): TaskRecord {
  const content = { kind: "text", text: `${index} `.padEnd(64, "x") } as const;
  const parts = [{ content, mediaType: "", metadata: {} }];
  const atMs = startMs + index;
  const task = {
    taskId: storedTaskId(index),
    contextId: `context-${index}`,
    direction: index % 2 === 0 ? "outbound" : "inbound",
    peerId: PEER_ID,
    status: "completed",
    targetSkillId: "",
    messages: [{ messageId: `message-${index}`, role: "user", parts, createdAtMs: atMs }],
    artifacts: [{ artifactId: "echo", name: "", parts }],
    metadata: {},
    errorMessage: "",
    createdAtMs: atMs,
    updatedAtMs: atMs,
    generation: 2,
    deadlineMs: 0,
    trace: { traceParent: "", traceState: "" },
    cancelRequested: false,
  } as const;
  const events = [
    { generation: 1, status: "submitted", atMs, messageId: "" },
    { generation: 2, status: "completed", atMs, messageId: "" },
  ] as const;
  return { task, events, envelopeIds: [], awaitsAgent: false, claimId: "", sendSequence: 0 };
}

/** Gathers commits of new keys into one: the last change of a key counts, checks are left out. */
class BulkWriter implements KvStore {
  readonly #kv: KvStore;
  readonly #changes = new Map<string, KvOperation>();

  constructor(kv: KvStore) {
    this.#kv = kv;
  }

  get(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async *list(): AsyncGenerator<never> {}

  commit(operations: readonly KvOperation[]): ReturnType<KvStore["commit"]> {
    const name = (key: KvKey) => JSON.stringify(key);
    for (const one of operations) if (one.op !== "check") this.#changes.set(name(one.key), one);
    return Promise.resolve("bulk");
  }

  /** Writes what was gathered. */
  async flush(): Promise<void> {
    if (await this.#kv.commit([...this.#changes.values()])) this.#changes.clear();
    else throw new Error("The tasks were not stored: another process has the store");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
