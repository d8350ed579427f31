/** A set of texts in order (by UTF-16 units), to be walked from any place. */
export class SortedIds {
  readonly #ids: string[] = [];

  get size(): number {
    return this.#ids.length;
  }

  add(id: string): void {
    const at = this.#position(id);
    if (this.#ids[at] !== id) this.#ids.splice(at, 0, id);
  }

  delete(id: string): void {
    const at = this.#position(id);
    if (this.#ids[at] === id) this.#ids.splice(at, 1);
  }

  /** Those behind `after`, which need not be in the set. Nothing may change meanwhile. */
  *after(after: string): Generator<string> {
    let at = this.#position(after);
    if (this.#ids[at] === after) at++;
    for (let id; (id = this.#ids[at]) !== undefined; at++) yield id;
  }

  /** Those that begin with `prefix`. Nothing may change meanwhile. */
  *withPrefix(prefix: string): Generator<string> {
    let at = this.#position(prefix);
    for (let id; (id = this.#ids[at])?.startsWith(prefix); at++) yield id;
  }

  /** Where `id` is, or would be. */
  #position(id: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as string) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The ids of several sets behind `after`, in order and each once. */
export function* mergeAfter(sets: readonly SortedIds[], after: string): Generator<string> {
  const walks = sets.map((set) => set.after(after));
  const heads = walks.map((walk) => walk.next());
  while (true) {
    let first: string | undefined;
    for (const { value } of heads) {
      if (typeof value === "string" && (first === undefined || value < first)) first = value;
    }
    if (first === undefined) return;
    yield first;
    heads.forEach(({ value }, index) => {
      if (value === first) heads[index] = walks[index]?.next() ?? { done: true, value: undefined };
    });
  }
}
