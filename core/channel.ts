/**
 * A bounded queue between one writer and one reader, read as an async iterable. When it is full, `push` answers false
 * and the item is not taken: the writer decides what that means. Leaving the loop closes it.
 */
export class Channel<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #error: unknown;
  readonly #onClose: (() => void) | undefined;

  /** @param capacity most items held at once. @param onClose runs once, whoever closes first. */
  constructor(readonly capacity: number, onClose?: () => void) {
    if (!(capacity > 0)) throw new RangeError(`Channel capacity must be positive, got ${capacity}`);
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Adds an item; false when the queue is full or closed. */
  push(item: T): boolean {
    if (this.#closed || this.#items.length >= this.capacity) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  /** Ends the iteration after what is queued; with `error`, the reader then meets it. */
  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#wake?.();
    this.#onClose?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      while (true) {
        while (this.#items.length > 0) yield this.#items.shift() as T;
        if (this.#closed) break;
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = undefined;
      }
      if (this.#error !== undefined) throw this.#error;
    } finally {
      this.#items = [];
      this.close();
    }
  }
}
