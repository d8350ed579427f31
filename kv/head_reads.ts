/** Most keys that Deno KV reads at once. */
const MAX_TOGETHER = 10;

interface Waiting {
  readonly key: Deno.KvKey;
  readonly outcome: PromiseWithResolvers<Deno.KvEntryMaybe<unknown>>;
}

/** Reads of single keys; those that are asked for in one turn are done together, which costs little more than one. */
export class HeadReads {
  readonly #kv: Deno.Kv;
  #waiting: Waiting[] = [];

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** What there is at `key`. Rejects as `Deno.Kv.get` of this key alone does. */
  get(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<unknown>> {
    const outcome = Promise.withResolvers<Deno.KvEntryMaybe<unknown>>();
    if (this.#waiting.push({ key, outcome }) === 1) queueMicrotask(() => this.#readAll());
    return outcome.promise;
  }

  #readAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    while (waiting.length > 0) void this.#read(waiting.splice(0, MAX_TOGETHER));
  }

  async #read(group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    if (group.length === 1 && first !== undefined) {
      return first.outcome.resolve(this.#kv.get(first.key));
    }
    try {
      const entries = await this.#kv.getMany<unknown[]>(group.map(({ key }) => key));
      for (const [index, entry] of entries.entries()) group[index]?.outcome.resolve(entry);
    } catch {
      // One of them cannot be read: each is asked for by itself, to tell which.
      for (const { key, outcome } of group) outcome.resolve(this.#kv.get(key));
    }
  }
}
