import type { StoredTask } from "../../a2a/mod.ts";

const MAX_BYTES = 24 * 1024 * 1024;
/** What a record takes in memory beside its content, about: a small one has some 40 objects. */
const OVERHEAD_BYTES = 4096;
/** Records of ended tasks that are kept, for those who are just being told of the end. */
const MAX_OVER = 256;

/** The records used last, so that a task's next step does not read what its last one wrote. */
export class RecordCache {
  readonly #records = new Map<string, { stored: StoredTask; bytes: number }>();
  /** Those of ended tasks, the newest last. */
  readonly #over = new Set<string>();
  /** The last read of each record that nothing has overtaken so far. */
  readonly #reads = new Map<string, symbol>();
  #bytes = 0;

  get(taskId: string): StoredTask | undefined {
    return this.#records.get(taskId)?.stored;
  }

  /** @param bytes encoded size of the record. */
  put(stored: StoredTask, bytes: number, { isOver = false } = {}): StoredTask {
    const { taskId } = stored.record.task;
    this.drop(taskId);
    const size = bytes + OVERHEAD_BYTES;
    this.#records.set(taskId, { stored, bytes: size });
    this.#bytes += size;
    if (isOver) this.#over.add(taskId);
    const [oldestOver] = this.#over;
    if (oldestOver !== undefined && this.#over.size > MAX_OVER) this.#evict(oldestOver);
    for (const oldest of this.#records.keys()) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#evict(oldest);
    }
    return stored;
  }

  /** Begins a read, which counts until the record is put or dropped. Ends with {@link endRead}. */
  beginRead(taskId: string): symbol {
    const read = Symbol(taskId);
    this.#reads.set(taskId, read);
    return read;
  }

  /** Ends a read; whether what it found is still what lies in the store, as far as this node changes it. */
  endRead(taskId: string, read: symbol): boolean {
    return this.#reads.get(taskId) === read && this.#reads.delete(taskId);
  }

  /** The record has changed or may have: it is not at hand any more, and what is being read of it is old. */
  drop(taskId: string): void {
    this.#reads.delete(taskId);
    this.#evict(taskId);
  }

  #evict(taskId: string): void {
    this.#bytes -= this.#records.get(taskId)?.bytes ?? 0;
    this.#records.delete(taskId);
    this.#over.delete(taskId);
  }
}
