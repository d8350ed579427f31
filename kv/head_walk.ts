import { fromHeadKey, headKey } from "./keys.ts";
import type { LargeValues } from "./large_values.ts";
import type { KvKey } from "./store.ts";
import { isUndecodable } from "./store_errors.ts";

export interface HeadWalkDeps {
  kv: Deno.Kv;
  values: LargeValues;
}

/** What is walked over; see `KvListOptions`. */
export interface HeadWalkOptions {
  prefix: KvKey;
  reverse?: boolean;
  after?: KvKey;
}

/** A key and what the database has for it; undefined when that has to be read by itself. */
export interface FoundHead {
  key: KvKey;
  head: Deno.KvEntry<unknown> | undefined;
}

/**
 * Goes from head to head in the order of keys. The database answers a batch in which one record cannot be decoded with an
 * error that does not tell which one; but only the heads of large values are encoded and their keys are known, so the walk
 * gives the next of them unread and goes on behind it.
 */
export class HeadWalk {
  readonly #deps: HeadWalkDeps;
  readonly #prefix: KvKey;
  readonly #reverse: boolean;
  /** The last key given, or where the listing starts. */
  #after: KvKey | undefined;
  #heads: Deno.KvListIterator<unknown> | undefined;
  /** The key with a large value where `#heads` ends, to be given next. */
  #large: KvKey | undefined;

  constructor(deps: HeadWalkDeps, options: HeadWalkOptions) {
    this.#deps = deps;
    this.#prefix = options.prefix;
    this.#reverse = options.reverse ?? false;
    this.#after = options.after;
  }

  /** The next head; undefined at the end. */
  async next(): Promise<FoundHead | undefined> {
    for (;;) {
      this.#heads ??= this.#deps.kv.list(this.#selector(), { reverse: this.#reverse });
      try {
        const step = await this.#heads.next();
        if (!step.done) return this.#give({ key: fromHeadKey(step.value.key), head: step.value });
        const large = this.#large;
        if (large === undefined) return undefined;
        this.#heads = this.#large = undefined;
        return this.#give({ key: large, head: undefined });
      } catch (error) {
        const large = this.#deps.values.next(this.#prefix, { after: this.#after, reverse: this.#reverse });
        if (!isUndecodable(error) || this.#large !== undefined || large === undefined) throw error;
        this.#large = large;
        this.#heads = undefined;
      }
    }
  }

  #give(found: FoundHead): FoundHead {
    this.#after = found.key;
    return found;
  }

  #selector(): Deno.KvListSelector {
    const below = headKey(this.#prefix);
    const after = this.#after && headKey(this.#after);
    if (this.#large === undefined) {
      if (after === undefined) return { prefix: below };
      return this.#reverse ? { prefix: below, end: after } : { prefix: below, start: behind(after) };
    }
    const large = headKey(this.#large);
    return this.#reverse
      ? { start: behind(large), end: after ?? [...below, true] } // behind all strings and numbers
      : { start: behind(after ?? below), end: large };
  }
}

/** The first key behind `key`: bytes sort before strings and numbers. */
function behind(key: Deno.KvKey): Deno.KvKey {
  return [...key, new Uint8Array()];
}
