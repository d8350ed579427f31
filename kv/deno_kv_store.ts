import { CodedError } from "../core/errors.ts";
import { DATABASE_FILE } from "./backup.ts";
import { type AtomicPart, CommitQueue } from "./commit_queue.ts";
import { HeadReads } from "./head_reads.ts";
import { type FoundHead, HeadWalk } from "./head_walk.ts";
import { KeySetLock } from "./key_set_lock.ts";
import { garbageKey, garbagePrefix, headKey } from "./keys.ts";
import { type LargeChange, LargeValues } from "./large_values.ts";
import { checkKey, checkListOptions, checkOperations, type CommitSize } from "./limits.ts";
import type { KvEntry, KvKey, KvListOptions, KvOperation, KvStore } from "./store.ts";
import { closedError, damagedError, isUndecodable, toStoreError } from "./store_errors.ts";
import { claimFormat } from "./store_format.ts";
import { lockDirectory } from "./store_lock.ts";

/** Most interrupted commits cleaned up at one open; the next open goes on. */
const SWEEP_LIMIT = 1000;
/** Bytes that a key takes on top of its encoding: the tag of heads. */
const HEAD_KEY_BYTES = 6;
/** Bytes at most of the key of a garbage record. */
const GARBAGE_KEY_BYTES = 64;
/** Bytes at most of a chunk list of one value, encoded. */
const CHUNKED_BYTES = 80;

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
  const path = `${options.directory}/${DATABASE_FILE}`;
  using stack = new DisposableStack();
  stack.use(await lockDirectory(options.directory));
  try {
    const kv = await Deno.openKv(path);
    stack.defer(() => kv.close());
    await claimFormat(kv, path);
    const values = await LargeValues.open(kv, path);
    const interrupted = await findInterrupted(kv);
    return new DenoKvStore({ kv, path, values, interrupted, resources: stack.move() });
  } catch (error) {
    throw toStoreError(error, path);
  }
}

async function findInterrupted(kv: Deno.Kv): Promise<Deno.KvKey[]> {
  try {
    const records = kv.list({ prefix: garbagePrefix }, { limit: SWEEP_LIMIT });
    return await Array.fromAsync(records, ({ key }) => key);
  } catch (error) {
    if (!isUndecodable(error)) throw error;
    return []; // Garbage that cannot be dropped takes space and harms nothing else.
  }
}

interface Opened {
  kv: Deno.Kv;
  path: string;
  values: LargeValues;
  /** Garbage keys of commits that a killed process left. */
  interrupted: Deno.KvKey[];
  /** Closes the database, then gives up the lock. */
  resources: DisposableStack;
}

/**
 * Commits hold the locks of all keys they name until they have ended, so that those under way at the same time never
 * concern each other and can go into one atomic. A large value is written in chunks under an id of its own before the
 * atomic that switches the head of its key. Holding a key's lock, its head and its chunks belong together.
 */
class DenoKvStore implements KvStore {
  readonly #kv: Deno.Kv;
  readonly #path: string;
  readonly #values: LargeValues;
  readonly #resources: DisposableStack;
  readonly #queue: CommitQueue;
  readonly #heads: HeadReads;
  readonly #locks = new KeySetLock();
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor({ kv, path, values, interrupted, resources }: Opened) {
    this.#kv = kv;
    this.#path = path;
    this.#values = values;
    this.#resources = resources;
    this.#queue = new CommitQueue(kv);
    this.#heads = new HeadReads(kv);
    // What cannot be dropped now stays listed for the next open.
    this.#run(() => this.#sweep(interrupted)).catch(() => {});
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    const encoded = checkKey(key);
    return await this.#run(async () => {
      const head = await this.#getHead(key);
      return isInline(head) ? toEntry(key, head) : await this.#getLarge(key, encoded);
    });
  }

  list(prefix: KvKey, options: KvListOptions = {}): AsyncIterable<KvEntry> {
    checkListOptions(prefix, options);
    return this.#iterate(prefix, options);
  }

  async *#iterate(prefix: KvKey, options: KvListOptions): AsyncGenerator<KvEntry> {
    const { limit = Infinity, onDamaged } = options;
    const walk = new HeadWalk({ kv: this.#kv, values: this.#values }, { ...options, prefix });
    for (let count = 0; count < limit;) {
      const found = await this.#run(() => walk.next());
      if (found === undefined) return;
      const entry = await this.#toEntry(found, onDamaged);
      if (entry === undefined) continue; // deleted meanwhile, or damaged
      count++;
      yield entry;
    }
  }

  async #toEntry(
    { key, head }: FoundHead,
    onDamaged: KvListOptions["onDamaged"],
  ): Promise<KvEntry | undefined> {
    if (head !== undefined && isInline(head)) return toEntry(key, head);
    try {
      return await this.#run(() => this.#getLarge(key, checkKey(key)));
    } catch (error) {
      if (onDamaged === undefined || !(error instanceof CodedError && error.code === "data_loss")) {
        throw error;
      }
      onDamaged(key, error);
      return undefined;
    }
  }

  async commit(
    operations: readonly KvOperation[],
    options?: { unhurried?: boolean },
  ): Promise<string | undefined> {
    const size = checkOperations(operations);
    // One that is in no hurry holds its keys while it waits.
    if (this.#locks.holdsAny(size.keys)) this.#queue.hurry();
    return await this.#run(() =>
      this.#locks.run(size.keys, () => this.#commitLocked(operations, size, options))
    );
  }

  async #commitLocked(
    operations: readonly KvOperation[],
    size: CommitSize,
    options?: { unhurried?: boolean },
  ): Promise<string | undefined> {
    if (!operations.every((operation) => operation.op !== "check" || isRevision(operation.revision))) {
      return undefined;
    }
    const large = this.#values.concerns(size) ? await this.#values.plan(operations, size.keys) : undefined;
    if (large === undefined) return await this.#queue.commit(toPart(operations, size), options);
    return await this.#commitLarge(large, toPart(operations, size, large));
  }

  async #commitLarge(large: LargeChange, part: AtomicPart): Promise<string | undefined> {
    let isWritten = false;
    let isDone = false;
    try {
      await this.#values.write(large);
      isWritten = true;
      const revision = await this.#queue.commit(part);
      isDone = revision !== undefined;
      await this.#values.settle(large, isDone ? "done" : "refused");
      return revision;
    } catch (error) {
      if (isWritten) await this.#values.settle(large, "unknown");
      throw error;
    } finally {
      // The outcome stands without this, and what cannot be dropped now stays listed for the next open.
      const isClean = isDone && large.replaced.length === 0 && large.written.size === large.keys.size;
      if (!isClean) await this.#values.cleanUp(large).catch(() => {});
    }
  }

  async #getHead(key: KvKey): Promise<Deno.KvEntryMaybe<unknown>> {
    try {
      return await this.#heads.get(headKey(key));
    } catch (error) {
      if (!isUndecodable(error)) throw error;
      throw damagedError(key, this.#path, { found: "its record cannot be decoded", cause: error });
    }
  }

  #getLarge(key: KvKey, encoded: string): Promise<KvEntry | undefined> {
    return this.#locks.run([encoded], async () => {
      const head = await this.#getHead(key);
      if (isInline(head)) return toEntry(key, head);
      const value = await this.#values.read(key, head.value);
      return { key: [...key], value, revision: head.versionstamp ?? "" };
    });
  }

  async #sweep(interrupted: readonly Deno.KvKey[]): Promise<void> {
    for (const record of interrupted) {
      if (this.#closing !== undefined) return;
      await this.#values.dropGarbage(record);
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
    this.#queue.hurry();
    await Promise.allSettled(this.#running);
    await this.#queue.idle();
    this.#resources.dispose();
  }
}

/** The commit as the database takes it. */
function toPart(operations: readonly KvOperation[], size: CommitSize, large?: LargeChange): AtomicPart {
  const isGarbage = large !== undefined && large.written.size + large.replaced.length > 0;
  const keyBytes = size.keyBytes + size.keys.length * HEAD_KEY_BYTES + (isGarbage ? GARBAGE_KEY_BYTES : 0);
  let bytes = keyBytes + size.valueBytes;
  for (const { size } of large?.written.values() ?? []) bytes += CHUNKED_BYTES - size;
  bytes += (large?.replaced.length ?? 0) * CHUNKED_BYTES;
  const mutations = operations.length - size.checks + (isGarbage ? 1 : 0);
  const addTo = (atomic: Deno.AtomicOperation) => {
    for (const operation of operations) {
      const key = headKey(operation.key);
      if (operation.op === "delete") atomic.delete(key);
      else if (operation.op === "set") atomic.set(key, large?.written.get(operation) ?? operation.value);
      else atomic.check({ key, versionstamp: operation.revision ?? null });
    }
    if (large === undefined) return;
    if (large.replaced.length > 0) atomic.set(garbageKey(large.commitId), large.replaced);
    else if (large.written.size > 0) atomic.delete(garbageKey(large.commitId));
  };
  return { cost: { mutations, checks: size.checks, bytes, keyBytes }, addTo };
}

/** Only what looks like a versionstamp can be one; Deno KV throws for anything else. */
function isRevision(revision: string | undefined): boolean {
  return revision === undefined || /^[0-9a-f]{20}$/.test(revision);
}

/** Whether there is nothing, or the value itself. */
function isInline(head: Deno.KvEntryMaybe<unknown>): head is Deno.KvEntryMaybe<Uint8Array> {
  return head.versionstamp === null || head.value instanceof Uint8Array;
}

function toEntry(key: KvKey, head: Deno.KvEntryMaybe<Uint8Array>): KvEntry | undefined {
  return head.versionstamp === null
    ? undefined
    : { key: [...key], value: head.value, revision: head.versionstamp };
}
