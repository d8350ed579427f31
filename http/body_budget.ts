/** Counts the bytes of the bodies of requests under way, so that many callers together cannot fill the memory. */
export class BodyBudget {
  #usedBytes = 0;

  constructor(readonly maxBytes: number) {}

  /** The share of one request: what it took is given back when it is disposed. */
  open(): BodyShare {
    let held = 0;
    return {
      take: (bytes) => {
        if (this.#usedBytes + bytes > this.maxBytes) return false;
        this.#usedBytes += bytes;
        held += bytes;
        return true;
      },
      [Symbol.dispose]: () => {
        this.#usedBytes -= held;
        held = 0;
      },
    };
  }
}

export interface BodyShare extends Disposable {
  /** Counts bytes that have come; false, counting nothing, when there is no room for them. */
  take(bytes: number): boolean;
}
