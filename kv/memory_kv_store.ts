import { checkKey, checkListOptions, checkOperations, encodeKey } from "./limits.ts";
import type { KvEntry, KvKey, KvListOptions, KvOperation, KvStore } from "./store.ts";
import { closedError } from "./store_errors.ts";

/** A store that forgets everything when it is closed, with the limits and the order of the one on disk. */
export function createMemoryKvStore(): KvStore {
  return new MemoryKvStore();
}

interface Row extends KvEntry {
  readonly order: string;
}

class MemoryKvStore implements KvStore {
  /** Sorted by `order`. */
  #rows: Row[] = [];
  #lastRevision = 0;
  #closed = false;

  // deno-lint-ignore require-await -- async turns what a check throws into a rejection
  async get(key: KvKey): Promise<KvEntry | undefined> {
    const order = checkKey(key);
    this.#checkOpen();
    const row = this.#find(order);
    return row && toEntry(row);
  }

  list(prefix: KvKey, options: KvListOptions = {}): AsyncIterable<KvEntry> {
    checkListOptions(prefix, options);
    return this.#iterate(prefix, options);
  }

  async *#iterate(prefix: KvKey, options: KvListOptions): AsyncGenerator<KvEntry> {
    const { limit = Infinity, reverse = false, after } = options;
    const below = encodeKey(prefix);
    let cursor = after === undefined ? undefined : encodeKey(after);
    for (let count = 0; count < limit; count++) {
      this.#checkOpen();
      const index = reverse
        ? this.#indexOf(cursor ?? `${below}\xff`) - 1
        : this.#indexOf(`${cursor ?? below}\0`);
      const row = this.#rows[index];
      if (!row?.order.startsWith(below) || row.order === below) return;
      cursor = row.order;
      yield toEntry(row);
    }
  }

  // deno-lint-ignore require-await -- async turns what a check throws into a rejection
  async commit(operations: readonly KvOperation[]): Promise<string | undefined> {
    checkOperations(operations);
    this.#checkOpen();
    const holds = (operation: KvOperation) =>
      operation.op !== "check" || this.#find(encodeKey(operation.key))?.revision === operation.revision;
    if (!operations.every(holds)) return undefined;
    const revision = String(++this.#lastRevision);
    for (const operation of operations) if (operation.op !== "check") this.#change(operation, revision);
    return revision;
  }

  #change(operation: Exclude<KvOperation, { op: "check" }>, revision: string): void {
    const order = encodeKey(operation.key);
    const index = this.#indexOf(order);
    const replaced = this.#find(order) === undefined ? 0 : 1;
    if (operation.op === "delete") this.#rows.splice(index, replaced);
    else this.#rows.splice(index, replaced, { ...toEntry({ ...operation, revision }), order });
  }

  #find(order: string): Row | undefined {
    const row = this.#rows[this.#indexOf(order)];
    return row?.order === order ? row : undefined;
  }

  /** Index of the first row that is not before `order`. */
  #indexOf(order: string): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#rows[middle]?.order ?? "") < order) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("memory");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#rows = [];
    return Promise.resolve();
  }
}

/** A copy, so that neither side can change what the other one holds. */
function toEntry({ key, value, revision }: KvEntry): KvEntry {
  return { key: [...key], value: value.slice(), revision };
}
