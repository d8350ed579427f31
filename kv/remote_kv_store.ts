import { CodedError, errorMessage } from "../core/errors.ts";
import { checkKey, checkListOptions, checkOperations } from "./limits.ts";
import type { KvEntry, KvKey, KvListOptions, KvOperation, KvStore } from "./store.ts";

/** Everything of this program is below it: the database may serve others too. */
const ROOT = "agentanycast";
/** Most bytes of a value: the database takes no more, and nothing here is cut to pieces. */
const MAX_VALUE_BYTES = 64 * 1024;

/** Where {@link openRemoteKvStore} connects to. */
export interface RemoteKvStoreOptions {
  /** `https://…` of a denokv server; its access token is taken from `DENO_KV_ACCESS_TOKEN`, as Deno does. */
  readonly url: string;
}

/**
 * A store on a denokv server that several processes share. Values have at most 64 KiB; else as {@link KvStore}. Whether it can
 * be reached shows with the first call, which then throws `unavailable`. Throws `invalid_argument` for a URL that is none.
 */
export async function openRemoteKvStore({ url }: RemoteKvStoreOptions): Promise<KvStore> {
  try {
    return new RemoteKvStore(await Deno.openKv(url));
  } catch (cause) {
    throw new CodedError("invalid_argument", `Cannot use the store at ${url}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}

/** {@link KvStore} over a database whose every key has its value at its own place. */
export class RemoteKvStore implements KvStore {
  readonly #kv: Deno.Kv;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    checkKey(key);
    const { value, versionstamp } = await calling(() => this.#kv.get<Uint8Array>([ROOT, ...key]));
    return versionstamp === null || value === null ? undefined : { key, value, revision: versionstamp };
  }

  async *list(prefix: KvKey, options: KvListOptions = {}): AsyncGenerator<KvEntry> {
    checkListOptions(prefix, options);
    const { after, limit = Infinity, reverse = false } = options;
    const all = [ROOT, ...prefix];
    const selector: Deno.KvListSelector = after === undefined
      ? { prefix: all }
      : reverse
      ? { prefix: all, end: [ROOT, ...after] }
      : { prefix: all, start: [ROOT, ...after] };
    const iterator = this.#kv.list<Uint8Array>(selector, { reverse });
    let count = 0;
    while (count < limit) {
      const { done, value: entry } = await calling(() => iterator.next());
      if (done) return;
      const key = entry.key.slice(1) as (string | number)[];
      if (after !== undefined && key.join("\0") === after.join("\0")) continue; // itself is left out
      count++;
      yield { key, value: entry.value, revision: entry.versionstamp };
    }
  }

  async commit(operations: readonly KvOperation[]): Promise<string | undefined> {
    checkOperations(operations);
    const atomic = this.#kv.atomic();
    for (const operation of operations) {
      const key = [ROOT, ...operation.key];
      if (operation.op === "check") atomic.check({ key, versionstamp: operation.revision ?? null });
      else if (operation.op === "delete") atomic.delete(key);
      else {
        if (operation.value.length > MAX_VALUE_BYTES) {
          throw new CodedError(
            "resource_exhausted",
            `A value has ${operation.value.length} bytes, at most 64 KiB are taken`,
          );
        }
        atomic.set(key, operation.value);
      }
    }
    const result = await calling(() => atomic.commit());
    return result.ok ? result.versionstamp : undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#kv.close();
    return Promise.resolve();
  }
}

async function calling<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw new CodedError("unavailable", `The store does not answer: ${errorMessage(cause)}`, { cause });
  }
}
