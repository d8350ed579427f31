import { CodedError } from "../core/errors.ts";

/** Most bytes read from stdin: what a task may carry. */
export const MAX_INPUT_BYTES = 16 * 1024 * 1024;

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
