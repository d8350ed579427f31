/**
 * Runs work one at a time per key, in the order of the calls, where each work may hold several keys. A call takes its place
 * in the queues of all its keys at once, so that two calls never wait for each other.
 */
export class KeySetLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Whether work of any of `keys` has not settled. */
  holdsAny(keys: readonly string[]): boolean {
    return keys.some((key) => this.#tails.has(key));
  }

  /** Runs `work` once all earlier work of any of `keys` has settled, at once if there is none; answers what it answers. */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const earlier: Promise<void>[] = [];
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (tail !== undefined) earlier.push(tail);
    }
    const ended = Promise.withResolvers<void>();
    for (const key of keys) this.#tails.set(key, ended.promise);
    try {
      if (earlier.length > 0) await Promise.all(earlier);
      return await work();
    } finally {
      for (const key of keys) if (this.#tails.get(key) === ended.promise) this.#tails.delete(key);
      ended.resolve();
    }
  }
}
