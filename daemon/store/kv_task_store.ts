import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  OutboxEntry,
  StoredTask,
  Task,
  TaskPage,
  TaskQuery,
  TaskStep,
  TaskStore,
} from "../../a2a/mod.ts";
import { isTerminal } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { OutboxRecordSchema, TaskRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import {
  type KvEntry,
  type KvKey,
  type KvOperation,
  type KvStore,
  openTaskKey,
  openTaskPrefix,
  outboxKey,
  outboxPrefix,
  taskByTimeKey,
  taskByTimePrefix,
  taskKey,
} from "../../kv/mod.ts";
import { decodeEnvelope, encodeEnvelope } from "../convert/envelope.ts";
import { fromTask, toTask } from "../convert/task.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";

const MAX_PAGE_SIZE = 1000;
/** Text of a task that lists show, in UTF-16 units. */
const MAX_EXCERPT = 1000;
const EMPTY = new Uint8Array();

/** The engine's {@link TaskStore} on a {@link KvStore}: one record per task, indexes by time and of unfinished tasks. */
export class KvTaskStore implements TaskStore {
  readonly #kv: KvStore;
  readonly #logger: Logger;

  constructor(deps: { kv: KvStore; logger: Logger }) {
    this.#kv = deps.kv;
    this.#logger = deps.logger;
  }

  async load(taskId: string): Promise<StoredTask | undefined> {
    const entry = await this.#kv.get(taskKey(taskId));
    return entry === undefined ? undefined : { task: decodeTask(entry), revision: entry.revision };
  }

  commit(step: TaskStep): Promise<boolean> {
    const { task, revision, outbox } = step;
    const record = create(TaskRecordSchema, { task: toTask(task, "") });
    const operations: KvOperation[] = [
      { op: "check", key: taskKey(task.taskId), revision },
      { op: "set", key: taskKey(task.taskId), value: toBinary(TaskRecordSchema, record) },
    ];
    if (revision === undefined) {
      operations.push({ op: "set", key: taskByTimeKey(task.createdAtMs, task.taskId), value: EMPTY });
      operations.push({ op: "set", key: openTaskKey(task.taskId), value: EMPTY });
    }
    if (isTerminal(task.status)) operations.push({ op: "delete", key: openTaskKey(task.taskId) });
    for (const entry of outbox) {
      operations.push({
        op: "set",
        key: outboxKey(entry.peerId, entry.sequence),
        value: encodeOutbox(entry),
      });
    }
    return this.#kv.commit(operations);
  }

  async list(query: TaskQuery): Promise<TaskPage> {
    const limit = Math.min(query.pageSize, MAX_PAGE_SIZE);
    const tasks: Task[] = [];
    const after = query.pageToken ? parsePageToken(query.pageToken) : undefined;
    for await (const { key } of this.#kv.list(taskByTimePrefix, { reverse: true, ...(after && { after }) })) {
      const task = await this.#loadReadable(key);
      if (task === undefined || !matches(task, query)) continue;
      if (tasks.length === limit) return { tasks, nextPageToken: toPageToken(tasks.at(-1) as Task) };
      tasks.push(toListed(task));
    }
    return { tasks, nextPageToken: "" };
  }

  async *open(): AsyncIterable<Task> {
    for await (const { key } of this.#kv.list(openTaskPrefix)) {
      const task = await this.#loadReadable(key);
      if (task !== undefined && !isTerminal(task.status)) yield task;
    }
  }

  async outboxPeers(): Promise<readonly { peerId: string; lastSequence: number }[]> {
    const peers = new Map<string, number>();
    for await (const { key } of this.#kv.list(outboxPrefix())) peers.set(String(key[1]), Number(key[2]));
    return [...peers].map(([peerId, lastSequence]) => ({ peerId, lastSequence }));
  }

  async outbox(peerId: string, options: { limit: number }): Promise<readonly OutboxEntry[]> {
    const entries: OutboxEntry[] = [];
    for await (const entry of this.#kv.list(outboxPrefix(peerId), options)) {
      try {
        entries.push(decodeOutbox(entry, peerId));
      } catch (error) {
        this.#logger.error("An envelope in the store cannot be read; it is dropped", { peer: peerId, error });
        await this.#kv.commit([{ op: "delete", key: entry.key }]);
      }
    }
    return entries;
  }

  async removeOutbox(entries: readonly OutboxEntry[]): Promise<void> {
    await this.#kv.commit(
      entries.map(({ peerId, sequence }) => ({ op: "delete", key: outboxKey(peerId, sequence) })),
    );
  }

  /** The task an index entry names, or undefined (and a line in the log) when its record is damaged. */
  async #loadReadable(indexKey: KvKey): Promise<Task | undefined> {
    try {
      return (await this.load(String(indexKey.at(-1))))?.task;
    } catch (error) {
      this.#logger.error("A task in the store cannot be read; it is left out", { error });
      return undefined;
    }
  }
}

/** A task as lists show it: the request's text in short, artifacts by name. */
function toListed(task: Task): Task {
  const messages = task.messages.slice(0, 1).map((message) => ({
    ...message,
    parts: message.parts.flatMap(({ content, ...part }) =>
      content.kind === "text"
        ? [{ ...part, content: { ...content, text: content.text.slice(0, MAX_EXCERPT) } }]
        : []
    ).slice(0, 1),
  }));
  return { ...task, messages, artifacts: task.artifacts.map((artifact) => ({ ...artifact, parts: [] })) };
}

function matches(task: Task, query: TaskQuery): boolean {
  return (query.direction === undefined || task.direction === query.direction) &&
    (query.statuses === undefined || query.statuses.length === 0 || query.statuses.includes(task.status));
}

function toPageToken(last: Task): string {
  return `${last.createdAtMs}.${last.taskId}`;
}

function parsePageToken(token: string): KvKey {
  const [, createdAtMs, taskId] = /^(\d+)\.(.+)$/.exec(token) ?? [];
  if (createdAtMs === undefined || taskId === undefined) {
    throw new CodedError("invalid_argument", "The page token is none of this node's: start without one");
  }
  return taskByTimeKey(Number(createdAtMs), taskId);
}

function decodeTask(entry: KvEntry): Task {
  try {
    const { task } = fromBinary(TaskRecordSchema, entry.value);
    if (task === undefined) throw new Error("the record is empty");
    return fromTask(task);
  } catch (cause) {
    throw new CodedError("data_loss", `The record of task ${String(entry.key.at(-1))} is damaged`, { cause });
  }
}

function encodeOutbox(entry: OutboxEntry): Uint8Array {
  const { taskId, envelope } = entry;
  const record = create(OutboxRecordSchema, {
    taskId,
    envelope: encodeEnvelope(envelope),
    envelopeId: envelope.envelopeId,
    queuedAt: toTimestamp(entry.queuedAtMs),
    expiresAt: toTimestamp(entry.expiresAtMs),
  });
  return toBinary(OutboxRecordSchema, record);
}

function decodeOutbox(entry: KvEntry, peerId: string): OutboxEntry {
  const record = fromBinary(OutboxRecordSchema, entry.value);
  const envelope = decodeEnvelope(record.envelope);
  if (envelope === undefined) throw new CodedError("data_loss", "The envelope is of an unknown type");
  return {
    peerId,
    sequence: Number(entry.key.at(-1)),
    taskId: record.taskId,
    envelope,
    queuedAtMs: fromTimestamp(record.queuedAt),
    expiresAtMs: fromTimestamp(record.expiresAt),
  };
}
