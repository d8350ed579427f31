/**
 * Runs work one at a time per key, in the order of the calls, where each work may hold several keys. A call takes its place
 * in the queues of all its keys at once, so that two calls never wait for each other.
 */
export class KeySetLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` once all earlier work of any of `keys` has settled, at once if there is none; answers what it answers. */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const earlier = keys.flatMap((key) => this.#tails.get(key) ?? []);
    const result = earlier.length === 0 ? work() : Promise.all(earlier).then(work);
    const tail = result.then(() => {}, () => {});
    for (const key of keys) this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
