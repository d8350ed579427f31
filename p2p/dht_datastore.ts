/** A name in a datastore of libp2p. */
interface Key {
  toString(): string;
}

interface Pair {
  readonly key: Key;
  readonly value: Uint8Array;
}

interface Query {
  readonly prefix?: string;
}

/** What strangers may have us keep. */
export interface DhtDatastoreLimits {
  /** Default 20,000. */
  maxEntries: number;
  /** Default 32 MiB. */
  maxBytes: number;
}

const MAX_VALUE_BYTES = 64 * 1024;

/**
 * What a node of the DHT keeps for others, in memory: who provides what, and records. Of too much the oldest goes; what is
 * provided is told again from time to time by those who provide it.
 */
export class DhtDatastore {
  readonly #entries = new Map<string, Pair>();
  readonly #limits: DhtDatastoreLimits;
  #bytes = 0;

  constructor(limits: Partial<DhtDatastoreLimits> = {}) {
    this.#limits = { maxEntries: 20_000, maxBytes: 32 * 1024 * 1024, ...limits };
  }

  get size(): number {
    return this.#entries.size;
  }

  put(key: Key, value: Uint8Array): Key {
    if (value.length > MAX_VALUE_BYTES) throw new RangeError(`A value of ${value.length} bytes is too long`);
    this.delete(key);
    this.#entries.set(key.toString(), { key, value });
    this.#bytes += value.length;
    for (const { key: oldest } of this.#entries.values()) {
      if (this.#entries.size <= this.#limits.maxEntries && this.#bytes <= this.#limits.maxBytes) break;
      this.delete(oldest);
    }
    return key;
  }

  get(key: Key): Uint8Array {
    const found = this.#entries.get(key.toString());
    if (found !== undefined) return found.value;
    const error = new Error(`${key} is not there`);
    error.name = "NotFoundError"; // what libp2p branches on
    throw error;
  }

  has(key: Key): boolean {
    return this.#entries.has(key.toString());
  }

  delete(key: Key): void {
    const name = key.toString();
    this.#bytes -= this.#entries.get(name)?.value.length ?? 0;
    this.#entries.delete(name);
  }

  async *query({ prefix = "" }: Query): AsyncGenerator<Pair> {
    for (const [name, pair] of [...this.#entries]) {
      if (name.startsWith(prefix)) yield await Promise.resolve(pair);
    }
  }

  async *queryKeys({ prefix = "" }: Query): AsyncGenerator<Key> {
    for await (const { key } of this.query({ prefix })) yield key;
  }
}
