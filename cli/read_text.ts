import { abortable } from "../core/abortable.ts";
import { CodedError } from "../core/errors.ts";

/** Most bytes read from stdin: what a task may carry. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** All of a stream as text. Throws `invalid_argument` when it is too long or not UTF-8. */
export async function readText(
  source: { readonly readable: ReadableStream<Uint8Array> },
  maxBytes: number = MAX_INPUT_BYTES,
): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of source.readable) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        throw new CodedError("invalid_argument", `The input has more than ${maxBytes} bytes`);
      }
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CodedError("invalid_argument", "The input is no UTF-8 text", { cause: error });
  }
}

/** Longest line taken from a person, in characters. */
const MAX_LINE_CHARS = 1024 * 1024;

/** Lines of a stream, read when they are asked for. Disposing it ends the reading. */
export class LineReader implements Disposable {
  readonly #source: { readonly readable: ReadableStream<Uint8Array> };
  readonly #decoder = new TextDecoder();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #text = "";

  constructor(source: { readonly readable: ReadableStream<Uint8Array> }) {
    this.#source = source;
  }

  /** The next line without its end; undefined when there is none. Throws the reason of `signal`, `invalid_argument`. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    this.#reader ??= this.#source.readable.getReader();
    while (!this.#text.includes("\n")) {
      const { done, value } = await abortable(this.#reader.read(), signal);
      if (done) break;
      this.#text += this.#decoder.decode(value, { stream: true });
      if (this.#text.length > MAX_LINE_CHARS) {
        throw new CodedError("invalid_argument", `A line has more than ${MAX_LINE_CHARS} characters`);
      }
    }
    if (this.#text === "") return undefined;
    const [line = "", ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line.replace(/\r$/, "");
  }

  [Symbol.dispose](): void {
    this.#reader?.cancel().catch(() => {/* it is not read any more either way */});
  }
}
