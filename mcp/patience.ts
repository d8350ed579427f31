/** A signal that fires after a time, unless it is disposed before; nothing is left running then. */
export class Patience implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(timeoutMs: number) {
    const reason = new DOMException(`Not within ${timeoutMs} ms`, "TimeoutError");
    this.#timer = setTimeout(() => this.#controller.abort(reason), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
