/** Tells any number of waiters that something has changed. */
export class Wakeup {
  #next = Promise.withResolvers<void>();

  /** Resolves at the next {@link wake}: take it before looking at what may change. */
  get next(): Promise<void> {
    return this.#next.promise;
  }

  wake(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  }
}
