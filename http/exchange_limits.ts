import { CodedError } from "../core/errors.ts";

export interface ExchangeBounds {
  /** The caller's wish to stop. */
  readonly signal: AbortSignal | undefined;
  /** Longest duration of the whole exchange, in milliseconds; 0 is without limit. */
  readonly timeoutMs: number;
  /** Longest wait for the answer to begin or to go on, in milliseconds; 0 is without limit. */
  readonly idleMs: number;
}

/** The times of one exchange as one signal. Whoever makes it disposes of it when the exchange is over. */
export class ExchangeLimits implements Disposable {
  readonly #abort = new AbortController();
  readonly #bounds: ExchangeBounds;
  readonly #origin: string;
  #total: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(origin: string, bounds: ExchangeBounds) {
    this.#origin = origin;
    this.#bounds = bounds;
    if (bounds.signal?.aborted) this.#onAbort();
    bounds.signal?.addEventListener("abort", this.#onAbort);
    this.heard();
    if (bounds.timeoutMs > 0) {
      this.#total = setTimeout(
        () => this.#expire("did not finish within", bounds.timeoutMs),
        bounds.timeoutMs,
      );
    }
  }

  /** Fires with a CodedError `deadline_exceeded`, or with the reason of the caller's signal. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Something has come, and more is waited for from now on. */
  heard(): void {
    clearTimeout(this.#idle);
    const { idleMs } = this.#bounds;
    if (idleMs > 0 && !this.signal.aborted) {
      this.#idle = setTimeout(() => this.#expire("was silent for", idleMs), idleMs);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#total);
    clearTimeout(this.#idle);
    this.#bounds.signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = () => this.#abort.abort(this.#bounds.signal?.reason);

  #expire(what: string, limitMs: number): void {
    this.#abort.abort(
      new CodedError("deadline_exceeded", `${this.#origin} ${what} ${limitMs} ms: it is given up, try later`),
    );
  }
}
