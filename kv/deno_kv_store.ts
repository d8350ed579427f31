import { CodedError } from "../core/errors.ts";
import { KeySetLock } from "./key_set_lock.ts";
import {
  chunkKey,
  chunkPrefix,
  FORMAT_VERSION,
  formatKey,
  garbageKey,
  garbagePrefix,
  headKey,
} from "./keys.ts";
import { checkKey, checkListOptions, checkOperations } from "./limits.ts";
import type { KvEntry, KvKey, KvListOptions, KvOperation, KvStore } from "./store.ts";
import { closedError, toStoreError } from "./store_errors.ts";
import { lockDirectory } from "./store_lock.ts";

/** Bytes of a chunk, and of the largest value that stays with its key. Deno KV takes 64 KiB. */
const CHUNK_BYTES = 60 * 1024;
/** Chunks written in one atomic, which takes 800 KiB. */
const CHUNKS_PER_WRITE = 12;
/** Chunks deleted in one atomic, which takes 1,000 mutations and 80 KiB of keys. */
const CHUNKS_PER_DROP = 500;
/** Bytes of values that stay with their keys in one commit; leaves room for keys, heads and garbage in 800 KiB. */
const INLINE_BYTES_PER_COMMIT = 512 * 1024;
/** Most interrupted commits cleaned up at one open; the next open goes on. */
const SWEEP_LIMIT = 1000;
/** Keys read in one call; the limit of Deno KV. */
const KEYS_PER_READ = 10;

/** A value that lies in chunks of its own. */
interface Chunked {
  id: string;
  /** Bytes of the whole value. */
  size: number;
}
type Head = Uint8Array | Chunked;
type Change = Exclude<KvOperation, { op: "check" }>;

/** Where {@link openDenoKvStore} keeps its files. */
export interface DenoKvStoreOptions {
  /** Folder for the database and its lock file; nothing else should live there. */
  directory: string;
}

/**
 * Opens (or creates) the store in a directory that it owns until it is disposed: 0700, with a lock file that names the
 * process. Throws `failed_precondition` when the store is in use, was written by a newer version, or when Deno KV is told
 * to forget; else as {@link KvStore} does.
 */
export async function openDenoKvStore(options: DenoKvStoreOptions): Promise<KvStore> {
  if (Deno.env.get("DENO_KV_DB_MODE") === "memory") {
    throw new CodedError(
      "failed_precondition",
      "Cannot open the store: DENO_KV_DB_MODE=memory would lose everything at the end. Unset it",
    );
  }
  const path = `${options.directory}/agentanycast.kv`;
  using stack = new DisposableStack();
  stack.use(await lockDirectory(options.directory));
  try {
    const kv = await Deno.openKv(path);
    stack.defer(() => kv.close());
    await claimFormat(kv, path);
    const interrupted = await Array.fromAsync(
      kv.list({ prefix: garbagePrefix }, { limit: SWEEP_LIMIT }),
      ({ key }) => key,
    );
    return new DenoKvStore({ kv, path, interrupted, resources: stack.move() });
  } catch (error) {
    throw toStoreError(error, path);
  }
}

/** Writes the version each time: a store that cannot be written should fail when it is opened. */
async function claimFormat(kv: Deno.Kv, path: string): Promise<void> {
  const { value } = await kv.get(formatKey);
  if (value !== null && value !== FORMAT_VERSION) {
    throw new CodedError(
      "failed_precondition",
      `Cannot open the store ${path}: its format is ${value}, this version knows ${FORMAT_VERSION}. ` +
        "Use the version that wrote it, or another home",
    );
  }
  await kv.set(formatKey, FORMAT_VERSION);
}

interface Opened {
  kv: Deno.Kv;
  path: string;
  /** Garbage keys of commits that a killed process left. */
  interrupted: Deno.KvKey[];
  /** Closes the database, then gives up the lock. */
  resources: DisposableStack;
}

/**
 * A large value is written in chunks under an id of its own before the one atomic that switches the head of its key. What a
 * commit would leave behind if the process ended now stands under its garbage key: first its new chunks, then, from the
 * atomic that switches the heads on, the chunks it replaced. Holding a key's lock, its head and its chunks belong together.
 */
class DenoKvStore implements KvStore {
  readonly #kv: Deno.Kv;
  readonly #path: string;
  readonly #resources: DisposableStack;
  readonly #locks = new KeySetLock();
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor({ kv, path, interrupted, resources }: Opened) {
    this.#kv = kv;
    this.#path = path;
    this.#resources = resources;
    // What cannot be dropped now stays listed for the next open.
    this.#run(() => this.#sweep(interrupted)).catch(() => {});
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    const encoded = checkKey(key);
    return await this.#run(async () => {
      const head = await this.#kv.get<Head>(headKey(key));
      return head.value instanceof Uint8Array || head.value === null
        ? toEntry(key, head)
        : await this.#getChunked(key, encoded);
    });
  }

  list(prefix: KvKey, options: KvListOptions = {}): AsyncIterable<KvEntry> {
    checkListOptions(prefix, options);
    return this.#iterate(prefix, options);
  }

  async *#iterate(prefix: KvKey, options: KvListOptions): AsyncGenerator<KvEntry> {
    const { limit, reverse = false, after } = options;
    const selector: Deno.KvListSelector = after === undefined
      ? { prefix: headKey(prefix) }
      : reverse
      ? { prefix: headKey(prefix), end: headKey(after) }
      : { prefix: headKey(prefix), start: [...headKey(after), new Uint8Array()] }; // the first key behind `after`
    const heads = await this.#run(() => Promise.resolve(this.#kv.list<Head>(selector, { reverse })));
    for (let count = 0; count < (limit ?? Infinity);) {
      const step = await this.#run(() => heads.next());
      if (step.done) return;
      const key = step.value.key.slice(1) as (string | number)[];
      const entry = step.value.value instanceof Uint8Array
        ? toEntry(key, step.value)
        : await this.#run(() => this.#getChunked(key, checkKey(key)));
      if (entry === undefined) continue; // deleted meanwhile
      count++;
      yield entry;
    }
  }

  async commit(operations: readonly KvOperation[]): Promise<boolean> {
    const keys = checkOperations(operations);
    return await this.#run(() => this.#locks.run(keys, () => this.#commitLocked(operations)));
  }

  async #commitLocked(operations: readonly KvOperation[]): Promise<boolean> {
    const commitId = crypto.randomUUID();
    const changes = operations.filter((operation): operation is Change => operation.op !== "check");
    const written = chooseChunked(changes);
    const replaced = await this.#findChunked(changes);
    if (written.size > 0) await this.#kv.set(garbageKey(commitId), [...written.values()]);
    try {
      for (const [{ value }, chunked] of written) await this.#writeChunks(chunked, value);
      return await this.#switchHeads({ commitId, operations, written, replaced });
    } finally {
      // The outcome stands without this, and what cannot be dropped now stays listed for the next open.
      if (written.size + replaced.length > 0) await this.#dropGarbage(garbageKey(commitId)).catch(() => {});
    }
  }

  async #switchHeads(commit: {
    commitId: string;
    operations: readonly KvOperation[];
    written: ReadonlyMap<KvOperation, Chunked>;
    replaced: readonly Chunked[];
  }): Promise<boolean> {
    const atomic = this.#kv.atomic();
    for (const operation of commit.operations) {
      const key = headKey(operation.key);
      if (operation.op === "delete") atomic.delete(key);
      else if (operation.op === "set") atomic.set(key, commit.written.get(operation) ?? operation.value);
      else if (isRevision(operation.revision)) {
        atomic.check({ key, versionstamp: operation.revision ?? null });
      } else return false;
    }
    if (commit.replaced.length > 0) atomic.set(garbageKey(commit.commitId), commit.replaced);
    else if (commit.written.size > 0) atomic.delete(garbageKey(commit.commitId));
    return (await atomic.commit()).ok;
  }

  /** What the chunks of the keys about to change are now. */
  async #findChunked(changes: readonly Change[]): Promise<Chunked[]> {
    const reads = [];
    for (let i = 0; i < changes.length; i += KEYS_PER_READ) {
      const keys = changes.slice(i, i + KEYS_PER_READ).map(({ key }) => headKey(key));
      reads.push(this.#kv.getMany<Head[]>(keys));
    }
    const heads = (await Promise.all(reads)).flat().map(({ value }) => value);
    return heads.filter((head): head is Chunked => head !== null && !(head instanceof Uint8Array));
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

  #getChunked(key: KvKey, encoded: string): Promise<KvEntry | undefined> {
    return this.#locks.run([encoded], async () => {
      const head = await this.#kv.get<Head>(headKey(key));
      if (head.value === null || head.value instanceof Uint8Array) return toEntry(key, head);
      const { id, size } = head.value;
      const value = new Uint8Array(size);
      let at = 0;
      for await (const chunk of this.#kv.list<Uint8Array>({ prefix: chunkPrefix(id) })) {
        if (at + chunk.value.length <= size) value.set(chunk.value, at);
        at += chunk.value.length;
      }
      if (at !== size) throw this.#tornError(key, at, size);
      return { key, value, revision: head.versionstamp };
    });
  }

  #tornError(key: KvKey, found: number, size: number): CodedError {
    return new CodedError(
      "data_loss",
      `Cannot read ${JSON.stringify(key)} from the store ${this.#path}: it has ${found} of ${size} bytes. ` +
        "Restore the store from a backup",
      { details: { path: this.#path } },
    );
  }

  /**
   * Deletes the chunks that a record lists, then the record. Goes by what is on disk, which is right even when a commit
   * failed so that nobody knows whether it took hold.
   */
  async #dropGarbage(record: Deno.KvKey): Promise<void> {
    const { value: garbage } = await this.#kv.get<Chunked[]>(record);
    if (garbage === null) return;
    let atomic = this.#kv.atomic();
    let count = 0;
    for (const { id, size } of garbage) {
      for (let index = 0; index * CHUNK_BYTES < size; index++) {
        atomic.delete(chunkKey(id, index));
        if (++count % CHUNKS_PER_DROP !== 0) continue;
        await atomic.commit();
        atomic = this.#kv.atomic();
      }
    }
    await atomic.delete(record).commit();
  }

  async #sweep(interrupted: readonly Deno.KvKey[]): Promise<void> {
    for (const record of interrupted) {
      if (this.#closing !== undefined) return;
      await this.#dropGarbage(record);
    }
  }

  /** Does `work` unless the store is closed; closing waits for it. */
  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedError(this.#path);
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      throw toStoreError(error, this.#path);
    } finally {
      this.#running.delete(running);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running);
    this.#resources.dispose();
  }
}

/** The values that cannot stay with their keys, or that are the largest of a commit whose values are too many bytes. */
function chooseChunked(changes: readonly Change[]): Map<Extract<Change, { op: "set" }>, Chunked> {
  const sets = changes.filter((change) => change.op === "set").sort((a, b) =>
    b.value.length - a.value.length
  );
  let inlineBytes = sets.reduce((sum, { value }) => sum + value.length, 0);
  const chosen = new Map<Extract<Change, { op: "set" }>, Chunked>();
  for (const set of sets) {
    const size = set.value.length;
    if (size <= CHUNK_BYTES && inlineBytes <= INLINE_BYTES_PER_COMMIT) break;
    chosen.set(set, { id: crypto.randomUUID(), size });
    inlineBytes -= size;
  }
  return chosen;
}

/** Only what looks like a versionstamp can be one; Deno KV throws for anything else. */
function isRevision(revision: string | undefined): boolean {
  return revision === undefined || /^[0-9a-f]{20}$/.test(revision);
}

function toEntry(key: KvKey, head: Deno.KvEntryMaybe<Head>): KvEntry | undefined {
  return head.versionstamp !== null && head.value instanceof Uint8Array
    ? { key: [...key], value: head.value, revision: head.versionstamp }
    : undefined;
}
