import { chunkKey, chunkPrefix, garbageKey, headKey, largeKey, largePrefix } from "./keys.ts";
import { type CommitSize, encodeKey, KV_LIMITS } from "./limits.ts";
import type { KvKey, KvOperation } from "./store.ts";
import { damagedError, isUndecodable } from "./store_errors.ts";

/** Bytes of a chunk, and of the largest value that stays with its key. Deno KV takes 64 KiB. */
const CHUNK_BYTES = 60 * 1024;
/** Chunks written in one atomic, which takes 800 KiB. */
const CHUNKS_PER_WRITE = 12;
/** Chunks deleted in one atomic, which takes 1,000 mutations and 80 KiB of keys. */
const CHUNKS_PER_DROP = 500;
/** Bytes of values that stay with their keys in one commit; leaves room for keys, heads and garbage in 800 KiB. */
const INLINE_BYTES_PER_COMMIT = 512 * 1024;
/** Keys read in one call; the limit of Deno KV. */
const KEYS_PER_READ = 10;
/** Keys taken off the index in one atomic, which takes 80 KiB of keys. */
const KEYS_PER_DROP = 50;

/** What stands on the index; bytes, as those can always be decoded. */
export const INDEXED = new Uint8Array();

/** A value that lies in chunks of its own. */
export interface Chunked {
  readonly id: string;
  /** Bytes of the whole value. */
  readonly size: number;
}
type SetOperation = Extract<KvOperation, { op: "set" }>;

interface Large {
  readonly key: KvKey;
  /** Undefined when the head cannot be decoded, or is not known since a commit ended with an error. */
  readonly chunked: Chunked | undefined;
}

/** The values of one commit that do not stay with their keys. */
export interface LargeChange {
  readonly commitId: string;
  readonly written: ReadonlyMap<KvOperation, Chunked>;
  /** What the changed keys refer to until then. */
  readonly replaced: readonly Chunked[];
  /** All keys whose values are or become large, by their encoding. */
  readonly keys: ReadonlyMap<string, KvKey>;
}

/**
 * The values in chunks, and which keys have one. What a commit would leave behind if the process ended now stands under its
 * garbage key: first its new chunks, then, from the atomic that switches the heads on, the chunks it replaced. A key is
 * on the index of large values before its head refers to chunks and until after it does. Whoever calls holds the locks of
 * the keys in question.
 */
export class LargeValues {
  readonly #kv: Deno.Kv;
  readonly #path: string;
  /** By the encoded key; exact for keys whose lock is free. */
  readonly #large = new Map<string, Large>();

  private constructor(kv: Deno.Kv, path: string) {
    this.#kv = kv;
    this.#path = path;
  }

  /** The large values of the database at `path`; takes off the index what interrupted commits left on it. */
  static async open(kv: Deno.Kv, path: string): Promise<LargeValues> {
    const values = new LargeValues(kv, path);
    const keys = await Array.fromAsync(
      kv.list({ prefix: largePrefix }),
      ({ key }) => key.slice(largePrefix.length) as (string | number)[],
    );
    await values.#learn(keys);
    await values.#unlist(keys.filter((key) => !values.#large.has(encodeKey(key))));
    return values;
  }

  /** Whether a commit may change something about large values, without a look at the disk. */
  concerns(size: CommitSize): boolean {
    return size.valueBytes > CHUNK_BYTES || size.keys.some((order) => this.#large.has(order));
  }

  /** What a commit changes about large values; undefined when nothing. `encoded` are the keys of its operations. */
  async plan(
    operations: readonly KvOperation[],
    encoded: readonly string[],
  ): Promise<LargeChange | undefined> {
    const written = chooseChunked(operations);
    const keys = new Map<string, KvKey>();
    for (const [i, operation] of operations.entries()) {
      const order = encoded[i] ?? "";
      if (operation.op === "check" || !written.has(operation) && !this.#large.has(order)) continue;
      keys.set(order, operation.key);
    }
    if (keys.size === 0) return undefined;
    await this.#learn([...keys].flatMap(([order, key]) => this.#isUnknown(order) ? [key] : []));
    const replaced = [...keys.keys()].flatMap((order) => this.#large.get(order)?.chunked ?? []);
    return { commitId: crypto.randomUUID(), written, replaced, keys };
  }

  /** Writes the new chunks, which nothing refers to yet. */
  async write({ commitId, written }: LargeChange): Promise<void> {
    if (written.size === 0) return;
    const atomic = this.#kv.atomic().set(garbageKey(commitId), [...written.values()]);
    for (const { key } of written.keys()) atomic.set(largeKey(key), INDEXED);
    await atomic.commit();
    for (const [operation, chunked] of written) {
      if (operation.op === "set") await this.#writeChunks(chunked, operation.value);
    }
  }

  /** Takes note of how the atomic ended that switches the heads. */
  async settle(change: LargeChange, outcome: "done" | "refused" | "unknown"): Promise<void> {
    if (outcome === "done") {
      for (const order of change.keys.keys()) this.#large.delete(order);
      for (const [{ key }, chunked] of change.written) this.#large.set(encodeKey(key), { key, chunked });
    } else if (outcome === "unknown") {
      for (const [order, key] of change.keys) this.#large.set(order, { key, chunked: undefined });
      // What cannot be read now is read before the next change of the key.
      await this.#learn([...change.keys.values()]).catch(() => {});
    }
  }

  /** Drops the chunks that nobody refers to after a commit, and its keys from the index if their values are not large. */
  async cleanUp({ commitId, keys }: LargeChange): Promise<void> {
    await this.dropGarbage(garbageKey(commitId));
    await this.#unlist([...keys].flatMap(([order, key]) => this.#large.has(order) ? [] : [key]));
  }

  /**
   * Deletes the chunks that a record lists, then the record. Goes by what is on disk, which is right even when a commit
   * failed so that nobody knows whether it took hold.
   */
  async dropGarbage(record: Deno.KvKey): Promise<void> {
    const { value: garbage } = await this.#kv.get(record);
    if (garbage === null) return;
    let atomic = this.#kv.atomic();
    let count = 0;
    for (const { id, size } of Array.isArray(garbage) ? garbage.filter(isChunked) : []) {
      for (let index = 0; index * CHUNK_BYTES < size; index++) {
        atomic.delete(chunkKey(id, index));
        if (++count % CHUNKS_PER_DROP !== 0) continue;
        await atomic.commit();
        atomic = this.#kv.atomic();
      }
    }
    await atomic.delete(record).commit();
  }

  /** The value in the chunks that the head of `key` names. @throws CodedError `data_loss`. */
  async read(key: KvKey, head: unknown): Promise<Uint8Array> {
    if (!isChunked(head)) {
      throw damagedError(key, this.#path, { found: "its record does not say where its value is" });
    }
    const { id, size } = head;
    const value = new Uint8Array(size);
    let at = 0;
    for await (const chunk of this.#kv.list<Uint8Array>({ prefix: chunkPrefix(id) })) {
      if (at + chunk.value.length <= size) value.set(chunk.value, at);
      at += chunk.value.length;
    }
    if (at !== size) throw damagedError(key, this.#path, { found: `it has ${at} of ${size} bytes` });
    return value;
  }

  /** The first key with a large value below `prefix` and, in the direction of a listing, behind `after`. */
  next(prefix: KvKey, options: { after: KvKey | undefined; reverse: boolean }): KvKey | undefined {
    const below = encodeKey(prefix);
    const after = options.after === undefined ? undefined : encodeKey(options.after);
    const isBefore = (a: string, b: string) => options.reverse ? a > b : a < b;
    let first: string | undefined;
    for (const order of this.#large.keys()) {
      if (!order.startsWith(below) || order === below) continue;
      if (after !== undefined && !isBefore(after, order)) continue;
      if (first === undefined || isBefore(order, first)) first = order;
    }
    return first === undefined ? undefined : this.#large.get(first)?.key;
  }

  #isUnknown(order: string): boolean {
    return this.#large.has(order) && this.#large.get(order)?.chunked === undefined;
  }

  async #learn(keys: readonly KvKey[]): Promise<void> {
    for (let i = 0; i < keys.length; i += KEYS_PER_READ) {
      const some = keys.slice(i, i + KEYS_PER_READ);
      for (const [j, head] of (await this.#readHeads(some)).entries()) {
        const key = some[j] ?? [];
        if (head === null || head instanceof Uint8Array) this.#large.delete(encodeKey(key));
        else this.#large.set(encodeKey(key), { key, chunked: isChunked(head) ? head : undefined });
      }
    }
  }

  /** Heads as stored; undefined for one that cannot be decoded. */
  async #readHeads(keys: readonly KvKey[]): Promise<unknown[]> {
    try {
      return (await this.#kv.getMany<unknown[]>(keys.map(headKey))).map(({ value }) => value);
    } catch (error) {
      if (!isUndecodable(error)) throw error;
      if (keys.length === 1) return [undefined];
      return (await Promise.all(keys.map((key) => this.#readHeads([key])))).flat();
    }
  }

  async #writeChunks({ id, size }: Chunked, value: Uint8Array): Promise<void> {
    for (let start = 0; start < size; start += CHUNK_BYTES * CHUNKS_PER_WRITE) {
      const atomic = this.#kv.atomic();
      for (let i = 0, at = start; i < CHUNKS_PER_WRITE && at < size; i++, at += CHUNK_BYTES) {
        atomic.set(chunkKey(id, at / CHUNK_BYTES), value.subarray(at, at + CHUNK_BYTES));
      }
      await atomic.commit();
    }
  }

  async #unlist(keys: readonly KvKey[]): Promise<void> {
    for (let i = 0; i < keys.length; i += KEYS_PER_DROP) {
      const atomic = this.#kv.atomic();
      for (const key of keys.slice(i, i + KEYS_PER_DROP)) atomic.delete(largeKey(key));
      await atomic.commit();
    }
  }
}

/** The values that cannot stay with their keys, or that are the largest of a commit whose values are too many bytes. */
function chooseChunked(operations: readonly KvOperation[]): Map<KvOperation, Chunked> {
  const chosen = new Map<KvOperation, Chunked>();
  const sets = operations.filter((operation): operation is SetOperation => operation.op === "set");
  let inlineBytes = sets.reduce((sum, { value }) => sum + value.length, 0);
  for (const set of sets.sort((a, b) => b.value.length - a.value.length)) {
    const size = set.value.length;
    if (size <= CHUNK_BYTES && inlineBytes <= INLINE_BYTES_PER_COMMIT) break;
    chosen.set(set, { id: crypto.randomUUID(), size });
    inlineBytes -= size;
  }
  return chosen;
}

function isChunked(head: unknown): head is Chunked {
  return typeof head === "object" && head !== null && "id" in head && typeof head.id === "string" &&
    "size" in head && Number.isSafeInteger(head.size) && Number(head.size) >= 0 &&
    Number(head.size) <= KV_LIMITS.valueBytes;
}
