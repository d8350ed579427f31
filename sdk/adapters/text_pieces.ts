/**
 * Text on its way from who writes it to who reads it: pieces that come while nobody reads are read together. At most
 * `maxChars` wait; then the writer does.
 */
export class TextPieces {
  readonly #maxChars: number;
  #waiting = "";
  #ended = false;
  #wakeReader = (): void => {};
  #wakeWriter = (): void => {};

  constructor({ maxChars = 256 * 1024 } = {}) {
    this.#maxChars = maxChars;
  }

  /** Takes a piece; comes back when there is room for more. */
  async write(piece: string): Promise<void> {
    this.#waiting += piece;
    this.#wakeReader();
    while (this.#waiting.length >= this.#maxChars && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    }
  }

  /** Nothing more comes, or nobody reads any more. */
  end(): void {
    this.#ended = true;
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** The text as UTF-8, until its end. For one reader. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    while (true) {
      if (this.#waiting !== "") {
        const text = this.#waiting;
        this.#waiting = "";
        this.#wakeWriter();
        yield encoder.encode(text);
      } else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }
}
