import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  CallerTask,
  OutboxEntry,
  OutboxLane,
  PeerOutbox,
  Retention,
  StoredTask,
  Task,
  TaskPage,
  TaskQuery,
  TaskRecord,
  TaskStep,
  TaskStore,
} from "../../a2a/mod.ts";
import { callerOf, isTerminal } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { RemovedTaskRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import {
  damagedKey,
  type KvKey,
  type KvOperation,
  type KvStore,
  openTaskPrefix,
  outboxKey,
  outboxPrefix,
  removedTaskKey,
  removedTaskPrefix,
  taskByTimeKey,
  taskByTimePrefix,
  taskKey,
  webhookPrefix,
} from "../../kv/mod.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";
import { indexOperations, readCallerTasks, unindexOperations } from "./caller_index.ts";
import { RecordCache } from "./record_cache.ts";
import { decodeOutboxEntry, decodeTaskRecord, encodeOutboxEntry, encodeTaskRecord } from "./task_codec.ts";
import { inGroups, newestFirst, toListed } from "./task_listing.ts";
import { YoungTasks } from "./young_tasks.ts";

const MAX_PAGE_SIZE = 1000;
/** Tasks looked at for one page; what matches less often comes in several pages, of which some may be empty. */
const MAX_LOOKED = 1000;
/** Records that a listing reads at once. */
const READ_TOGETHER = 32;
/** Bytes of envelopes read at once; one may be larger. */
const MAX_OUTBOX_BYTES = 16 * 1024 * 1024;
const EMPTY = new Uint8Array();
/** Tasks removed in one commit: each takes four changes, whose keys have to fit even with the longest ids. */
const REMOVED_TOGETHER = 25;
/** Remembered tasks looked at per round of removal; the next round goes on behind them. */
const FORGOTTEN_PER_ROUND = 20_000;

/** The engine's {@link TaskStore} on a {@link KvStore}: one record per task, indexes by time and of unfinished tasks. */
export class KvTaskStore implements TaskStore {
  readonly #kv: KvStore;
  readonly #logger: Logger;
  readonly #cache = new RecordCache();
  readonly #young: YoungTasks;
  /** Whether removed tasks are remembered; undefined: not looked yet. */
  #remembers: boolean | Promise<boolean> | undefined;
  /** The last remembered task looked at. */
  #forgottenTo: KvKey | undefined;

  constructor(deps: { kv: KvStore; logger: Logger }) {
    this.#kv = deps.kv;
    this.#logger = deps.logger;
    this.#young = new YoungTasks(deps);
  }

  cached(taskId: string): StoredTask | undefined {
    return this.#cache.get(taskId);
  }

  async load(taskId: string): Promise<StoredTask | undefined> {
    const cached = this.#cache.get(taskId);
    if (cached !== undefined) return cached;
    const reading = this.#cache.beginRead(taskId);
    let isLatest = false;
    let found;
    try {
      found = await this.#read(taskId);
    } finally {
      isLatest = this.#cache.endRead(taskId, reading);
    }
    if (found === undefined) return undefined;
    // A step that was committed while this was read is newer; after one that failed or a removal, this is not to be kept.
    const newer = this.#cache.get(taskId);
    if (newer !== undefined || !isLatest) return newer ?? found.stored;
    const isOver = isTerminal(found.stored.record.task.status);
    return this.#cache.put(found.stored, found.bytes, { isOver });
  }

  async commit(step: TaskStep): Promise<StoredTask | undefined> {
    const { record, revision, outbox, withdrawn } = step;
    const { taskId, createdAtMs, status } = record.task;
    const value = encodeTaskRecord(record);
    const operations: KvOperation[] = [
      { op: "check", key: taskKey(taskId), revision },
      { op: "set", key: taskKey(taskId), value },
      ...indexOperations(record.task),
    ];
    if (revision === undefined) {
      operations.push({ op: "set", key: taskByTimeKey(createdAtMs, taskId), value: EMPTY });
      if (!isTerminal(status)) operations.push(...this.#young.creating(record.task));
    } else if (isTerminal(status)) operations.push(...this.#young.ending(record.task));
    for (const entry of outbox) {
      operations.push({ op: "set", key: keyOf(entry), value: encodeOutboxEntry(entry) });
    }
    for (const entry of withdrawn) operations.push({ op: "delete", key: keyOf(entry) });
    const committed = await this.#kv.commit(operations).finally(() => {
      // Of a commit that throws nobody knows whether it was done.
      this.#cache.drop(taskId);
    });
    if (committed === undefined) {
      if (revision === undefined) this.#young.notCreated(record.task);
      return undefined;
    }
    if (isTerminal(status)) this.#young.ended(record.task);
    return this.#cache.put({ record, revision: committed }, value.length, { isOver: isTerminal(status) });
  }

  async list(query: TaskQuery): Promise<TaskPage> {
    const limit = Math.max(1, Math.min(query.pageSize, MAX_PAGE_SIZE));
    const tasks: Task[] = [];
    const { statuses = [], pageToken } = query;
    const onlyOpen = statuses.length > 0 && !statuses.some(isTerminal);
    const prefix = onlyOpen ? openTaskPrefix : taskByTimePrefix;
    const after = pageToken ? [...prefix, ...parsePageToken(pageToken)] : undefined;
    let last: KvKey | undefined;
    let looked = 0;
    const keys = this.#keys(prefix, { reverse: true, ...(after && { after }) });
    const young = onlyOpen
      ? this.#young.newest().map((task) => [...prefix, task.createdAtMs, task.taskId])
      : [];
    for await (const group of inGroups(newestFirst(young, keys, after), Math.min(limit, READ_TOGETHER))) {
      const records = await Promise.all(group.map((key) => this.#readable(key)));
      for (const [index, record] of records.entries()) {
        if (last !== undefined && (tasks.length === limit || looked === MAX_LOOKED)) {
          return { tasks, nextPageToken: last.slice(1).join(".") };
        }
        last = group[index];
        looked++;
        if (record !== undefined && matches(record.task, query)) tasks.push(toListed(record.task));
      }
    }
    return { tasks, nextPageToken: "" };
  }

  ofCaller(caller: string): Promise<readonly CallerTask[]> {
    return readCallerTasks(this.#kv, caller);
  }

  async *open(): AsyncIterable<TaskRecord> {
    const fromMs = await this.#young.readFrom();
    const seen = new Set<string>();
    for await (const key of this.#keys(openTaskPrefix)) {
      const record = await this.#readable(key);
      if (record !== undefined && !isTerminal(record.task.status)) {
        if (record.task.createdAtMs >= fromMs) seen.add(record.task.taskId);
        yield record;
      } else await this.#kv.commit([{ op: "delete", key }]);
    }
    const young: Task[] = [];
    for await (const { task, ...record } of this.#createdFrom(fromMs)) {
      if (isTerminal(task.status) || seen.has(task.taskId)) continue;
      young.push(task);
      yield { task, ...record };
    }
    await this.#young.begin(young, { fromMs });
  }

  /** The records of all tasks created from `fromMs` on, oldest first. */
  async *#createdFrom(fromMs: number): AsyncIterable<TaskRecord> {
    if (fromMs === Infinity) return;
    const keys = this.#keys(taskByTimePrefix, { after: taskByTimeKey(fromMs, "") });
    for await (const group of inGroups(keys, READ_TOGETHER)) {
      for (const record of await Promise.all(group.map((key) => this.#readable(key)))) {
        if (record !== undefined) yield record;
      }
    }
  }

  async outboxPeers(): Promise<readonly PeerOutbox[]> {
    const lanes = new Map<string, PeerOutbox>();
    for await (const { peerId, lane, sequence, bytes } of this.#entries(outboxPrefix())) {
      const id = toLaneId({ peerId, lane });
      const before = lanes.get(id);
      lanes.set(id, {
        peerId,
        lane,
        lastSequence: sequence,
        count: (before?.count ?? 0) + 1,
        bytes: (before?.bytes ?? 0) + bytes.length,
      });
    }
    return [...lanes.values()];
  }

  async outbox(
    lane: { peerId: string; lane: OutboxLane },
    options: { limit: number; after: number },
  ): Promise<readonly OutboxEntry[]> {
    const { limit, after } = options;
    const laneId = toLaneId(lane);
    const entries: OutboxEntry[] = [];
    let bytes = 0;
    for await (const entry of this.#entries(outboxPrefix(laneId), { after: outboxKey(laneId, after) })) {
      entries.push(entry);
      bytes += entry.bytes.length;
      if (entries.length === limit || bytes >= MAX_OUTBOX_BYTES) break;
    }
    return entries;
  }

  async removeOutbox(entries: readonly Pick<OutboxEntry, "peerId" | "lane" | "sequence">[]): Promise<void> {
    const operations = entries.map((entry) => ({ op: "delete", key: keyOf(entry) } as const));
    // Should they come back after a crash, they are answered as repetitions.
    await this.#kv.commit(operations, { unhurried: true });
  }

  async wasRemoved(taskId: string): Promise<boolean> {
    this.#remembers ??= this.#findRemoved();
    if (!await this.#remembers) return false;
    try {
      return await this.#kv.get(removedTaskKey(taskId)) !== undefined;
    } catch (error) {
      if (isDamage(error)) return true;
      throw error;
    }
  }

  async #findRemoved(): Promise<boolean> {
    try {
      for await (const _any of this.#keys(removedTaskPrefix)) return true;
      // A task that was removed meanwhile has set it already.
      return this.#remembers = this.#remembers === true;
    } catch (error) {
      this.#remembers = undefined;
      throw error;
    }
  }

  async *removeEnded(retention: Retention): AsyncIterable<readonly string[]> {
    const { endedBeforeMs, maxTasks, signal } = retention;
    await this.#forget(retention);
    let excess = await this.#count(signal) - maxTasks;
    let batch: Task[] = [];
    for await (const key of this.#keys(taskByTimePrefix)) {
      if (signal.aborted) return;
      if (excess <= 0 && Number(key[1]) >= endedBeforeMs) break;
      const task = (await this.#readable(key))?.task;
      if (task === undefined) await this.#kv.commit([{ op: "delete", key }]); // its record was set aside
      if (task === undefined || !isTerminal(task.status)) continue;
      if (excess <= 0 && task.updatedAtMs >= endedBeforeMs) continue;
      excess--;
      batch.push(task);
      if (batch.length < REMOVED_TOGETHER) continue;
      yield await this.#remove(batch, retention);
      batch = [];
    }
    if (batch.length > 0) yield await this.#remove(batch, retention);
  }

  async #remove(tasks: readonly Task[], retention: Retention): Promise<readonly string[]> {
    const expiresAt = toTimestamp(retention.rememberUntilMs);
    const value = toBinary(RemovedTaskRecordSchema, create(RemovedTaskRecordSchema, { expiresAt }));
    const webhooks = await Promise.all(tasks.map((task) => this.#webhooksOf(task)));
    const operations = tasks.flatMap((task): KvOperation[] => {
      const { taskId, createdAtMs, direction } = task;
      return [
        { op: "delete", key: taskKey(taskId) },
        { op: "delete", key: taskByTimeKey(createdAtMs, taskId) },
        ...unindexOperations(task),
        ...direction === "inbound" ? [{ op: "set", key: removedTaskKey(taskId), value } as const] : [],
      ];
    });
    operations.push(...webhooks.flat().map((key): KvOperation => ({ op: "delete", key })));
    await this.#kv.commit(operations).finally(() => {
      for (const { taskId } of tasks) this.#cache.drop(taskId);
    });
    this.#remembers = true;
    return tasks.map(({ taskId }) => taskId);
  }

  /** Only a task of a caller has any. */
  async #webhooksOf(task: Task): Promise<KvKey[]> {
    if (callerOf(task) === undefined) return [];
    return await Array.fromAsync(this.#kv.list(webhookPrefix(task.taskId)), ({ key }) => key);
  }

  /** Forgets removed tasks whose time is over. */
  async #forget({ nowMs, signal }: Retention): Promise<void> {
    const damaged: KvKey[] = [];
    const over: KvKey[] = [];
    const after = this.#forgottenTo;
    this.#forgottenTo = undefined;
    let count = 0;
    for await (
      const { key, value } of this.#kv.list(removedTaskPrefix, {
        limit: FORGOTTEN_PER_ROUND,
        onDamaged: (key) => damaged.push(key),
        ...(after && { after }),
      })
    ) {
      if (signal.aborted) return;
      if (expiryOf(value) <= nowMs) over.push(key);
      if (++count === FORGOTTEN_PER_ROUND) this.#forgottenTo = key;
    }
    over.push(...damaged);
    while (over.length > 0) {
      const keys = over.splice(0, REMOVED_TOGETHER);
      await this.#kv.commit(keys.map((key) => ({ op: "delete", key })));
    }
  }

  async #count(signal: AbortSignal): Promise<number> {
    let count = 0;
    for await (const _key of this.#keys(taskByTimePrefix)) {
      count++;
      if (signal.aborted) break;
    }
    return count;
  }

  /** The record as it lies in the store. One that is damaged is set aside. @throws CodedError `data_loss`. */
  async #read(taskId: string): Promise<{ stored: StoredTask; bytes: number } | undefined> {
    const key = taskKey(taskId);
    let value: Uint8Array | undefined;
    try {
      const entry = await this.#kv.get(key);
      if (entry === undefined) return undefined;
      value = entry.value;
      const record = decodeTaskRecord(taskId, value);
      return { stored: { record, revision: entry.revision }, bytes: value.length };
    } catch (error) {
      if (isDamage(error)) await this.#setAside(key, error, value);
      throw error;
    }
  }

  /** The record an index entry names, past the cache, which is for those that change; undefined when it is damaged. */
  async #readable(indexKey: KvKey): Promise<TaskRecord | undefined> {
    const taskId = String(indexKey.at(-1));
    try {
      return (this.#cache.get(taskId) ?? (await this.#read(taskId))?.stored)?.record;
    } catch (error) {
      if (!isDamage(error)) throw error;
      await this.#kv.commit([{ op: "delete", key: indexKey }]);
      return undefined;
    }
  }

  /** The keys below `prefix`, whose values mean nothing and may be damaged. */
  async *#keys(prefix: KvKey, options: { reverse?: boolean; after?: KvKey } = {}): AsyncIterable<KvKey> {
    let damaged: KvKey[] = [];
    const onDamaged = (key: KvKey) => damaged.push(key);
    for await (const { key } of this.#kv.list(prefix, { ...options, onDamaged })) {
      yield* damaged;
      damaged = [];
      yield key;
    }
    yield* damaged;
  }

  /** Waiting envelopes; those that are damaged are set aside. */
  async *#entries(prefix: KvKey, options: { after?: KvKey } = {}): AsyncIterable<OutboxEntry> {
    const damaged: [KvKey, unknown][] = [];
    const onDamaged = (key: KvKey, error: unknown) => damaged.push([key, error]);
    try {
      for await (const { key, value } of this.#kv.list(prefix, { ...options, onDamaged })) {
        const place = { ...fromLaneId(String(key[1])), sequence: Number(key[2]) };
        try {
          yield decodeOutboxEntry(place, value);
        } catch (error) {
          if (!isDamage(error)) throw error;
          await this.#setAside(key, error, value);
        }
      }
    } finally {
      for (const [key, error] of damaged) await this.#setAside(key, error, undefined);
    }
  }

  /** Takes a damaged value out of the way, so that nothing else meets it; its bytes, when they can be read, are kept. */
  async #setAside(key: KvKey, error: unknown, value: Uint8Array | undefined): Promise<void> {
    const where = damagedKey(key);
    this.#logger.error("A value in the store cannot be read; it is set aside", {
      key: key.join("/"),
      setAside: where.join("/"),
      error,
    });
    await this.#kv.commit([{ op: "set", key: where, value: value ?? EMPTY }, { op: "delete", key }]);
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof CodedError && error.code === "data_loss";
}

/** Until when a removed task is remembered; a record that cannot be read is over. */
function expiryOf(value: Uint8Array): number {
  try {
    return fromTimestamp(fromBinary(RemovedTaskRecordSchema, value).expiresAt);
  } catch {
    return -Infinity; // bytes that are no such record
  }
}

/** How a lane's name in the store ends. That of requests is left out behind a peer id, which has no slash, unlike a URL. */
const LANE_SUFFIXES = { reports: "/reports", turns: "/turns", requests: "/requests" } as const;
const LANES = Object.keys(LANE_SUFFIXES) as OutboxLane[];

function toLaneId({ peerId, lane }: Pick<OutboxEntry, "peerId" | "lane">): string {
  return lane === "requests" && !peerId.includes("/") ? peerId : peerId + LANE_SUFFIXES[lane];
}

function fromLaneId(id: string): { peerId: string; lane: OutboxLane } {
  const lane = LANES.find((one) => id.endsWith(LANE_SUFFIXES[one]));
  if (lane === undefined) return { peerId: id, lane: "requests" };
  return { peerId: id.slice(0, id.length - LANE_SUFFIXES[lane].length), lane };
}

function keyOf(entry: Pick<OutboxEntry, "peerId" | "lane" | "sequence">): KvKey {
  return outboxKey(toLaneId(entry), entry.sequence);
}

function matches(task: Task, query: TaskQuery): boolean {
  return (query.direction === undefined || task.direction === query.direction) &&
    (query.statuses === undefined || query.statuses.length === 0 || query.statuses.includes(task.status));
}

/** When the last task of a page was created, and its id. */
function parsePageToken(token: string): KvKey {
  const [, createdAtMs, taskId] = /^(\d+)\.(.+)$/.exec(token) ?? [];
  if (createdAtMs === undefined || taskId === undefined) {
    throw new CodedError("invalid_argument", "The page token is none of this node's: start without one");
  }
  return [Number(createdAtMs), taskId];
}
