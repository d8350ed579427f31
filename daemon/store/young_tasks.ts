import type { Logger } from "../../core/log.ts";
import { YoungTasksRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { type KvOperation, type KvStore, metaKey, openTaskKey } from "../../kv/mod.ts";
import { decodeMessage, encodeMessage } from "../../rpc/codecs.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";

/** New tasks after which those that are still open go on the index: about as many are looked at after a start. */
const TASKS_PER_ROUND = 500;
/** Tasks put on the index in one commit. */
const INDEXED_TOGETHER = 250;
const FROM_KEY = metaKey("young_tasks");
const EMPTY = new Uint8Array();

/** A task and when it was created, in milliseconds since the Unix epoch. */
export interface YoungTask {
  readonly taskId: string;
  readonly createdAtMs: number;
}

/**
 * The newest unfinished tasks, which are not on the index of open tasks: most tasks end before they would be put there, and so
 * cost neither the entry nor its removal. The store holds from which time of creation on tasks may be missing on the index; it
 * moves on behind those that have been put there. An entry may be left over of a task that has ended.
 */
export class YoungTasks {
  readonly #kv: KvStore;
  readonly #logger: Logger;
  /** Those that are not on the index. */
  readonly #tasks = new Map<string, YoungTask>();
  /** Tasks created from here on are not put on the index by the commits that make them; `Infinity` until {@link begin}. */
  #fromMs = Infinity;
  #created = 0;
  #indexing = false;

  constructor(deps: { kv: KvStore; logger: Logger }) {
    this.#kv = deps.kv;
    this.#logger = deps.logger;
  }

  /** Tasks created from then on may be missing on the index, in milliseconds; `Infinity`: none of an earlier version is. */
  async readFrom(): Promise<number> {
    const entry = await this.#kv.get(FROM_KEY);
    return entry === undefined
      ? Infinity
      : fromTimestamp(decodeMessage(YoungTasksRecordSchema, entry.value).from);
  }

  /**
   * Begins after a start. `tasks` are the unfinished ones created from `fromMs` on, which is what {@link readFrom} said. When the
   * store cannot be written, every task goes on the index until the next start.
   */
  async begin(tasks: Iterable<YoungTask>, { fromMs }: { fromMs: number }): Promise<void> {
    const startMs = fromMs === Infinity ? Date.now() : fromMs;
    try {
      if (fromMs === Infinity) await this.#writeFrom(startMs);
    } catch (error) {
      return this.#logger.warn("The store cannot be written; every new task is put on an index", { error });
    }
    for (const task of tasks) this.#tasks.set(task.taskId, task);
    this.#fromMs = startMs;
  }

  /** What the commit that makes the task has to do besides. */
  creating({ taskId, createdAtMs }: YoungTask): KvOperation[] {
    if (createdAtMs < this.#fromMs) {
      return [{ op: "set", key: openTaskKey(createdAtMs, taskId), value: EMPTY }];
    }
    if (!this.#tasks.has(taskId)) this.#tasks.set(taskId, { taskId, createdAtMs });
    if (++this.#created >= TASKS_PER_ROUND && !this.#indexing) void this.#index(createdAtMs);
    return [];
  }

  /** The task was not made: there is one of its id, which was made at another time. */
  notCreated({ taskId, createdAtMs }: YoungTask): void {
    if (this.#tasks.get(taskId)?.createdAtMs === createdAtMs) this.#tasks.delete(taskId);
  }

  /** What the commit that ends the task has to do besides. */
  ending({ taskId, createdAtMs }: YoungTask): KvOperation[] {
    return createdAtMs < this.#fromMs ? [{ op: "delete", key: openTaskKey(createdAtMs, taskId) }] : [];
  }

  /** That commit is done. */
  ended({ taskId }: YoungTask): void {
    this.#tasks.delete(taskId);
  }

  /** Those that are not on the index, the newest first. */
  newest(): YoungTask[] {
    return [...this.#tasks.values()].sort((a, b) => compareAge(b, a));
  }

  /** Puts what is open and was created before `beforeMs` on the index, so that a start need not look for it. */
  async #index(beforeMs: number): Promise<void> {
    this.#indexing = true;
    this.#created = 0;
    // What ends such a task takes it off the index from now on, behind the commit that puts it there.
    this.#fromMs = Math.max(this.#fromMs, beforeMs);
    const old = [...this.#tasks.values()].filter(({ createdAtMs }) => createdAtMs < beforeMs);
    try {
      for (let start = 0; start < old.length; start += INDEXED_TOGETHER) {
        const open = old.slice(start, start + INDEXED_TOGETHER).filter(({ taskId }) =>
          this.#tasks.has(taskId)
        );
        if (open.length === 0) continue;
        await this.#kv.commit(
          open.map(({ createdAtMs, taskId }) => ({
            op: "set",
            key: openTaskKey(createdAtMs, taskId),
            value: EMPTY,
          })),
        );
      }
      await this.#writeFrom(beforeMs);
      for (const { taskId } of old) this.#tasks.delete(taskId);
    } catch (error) {
      // They stay here, and the store as it was: the next round tries again.
      this.#logger.warn("Unfinished tasks could not be put on their index; it is tried again", { error });
    } finally {
      this.#indexing = false;
    }
  }

  async #writeFrom(fromMs: number): Promise<void> {
    const value = encodeMessage(YoungTasksRecordSchema, { from: toTimestamp(fromMs) });
    await this.#kv.commit([{ op: "set", key: FROM_KEY, value }]);
  }
}

/** In the order of creation; of one moment by id. */
export function compareAge(a: YoungTask, b: YoungTask): number {
  return a.createdAtMs - b.createdAtMs || (a.taskId < b.taskId ? -1 : a.taskId > b.taskId ? 1 : 0);
}
