import type { IncomingMessage } from "node:http";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { ExchangeLimits } from "./exchange_limits.ts";

const DECODERS: Readonly<Record<string, CompressionFormat>> = {
  "gzip": "gzip",
  "x-gzip": "gzip",
  "deflate": "deflate",
};

export interface ResponseBodyOptions {
  readonly origin: string;
  /** Most bytes of the body, decompressed; 0 is without limit. */
  readonly maxBytes: number;
  readonly limits: ExchangeLimits;
}

/**
 * The body of `response`, read only as fast as its reader goes. It ends with a CodedError: `resource_exhausted` past
 * `maxBytes`, `unavailable` when it breaks off, or the reason of the limits. Its end, however it comes, disposes of them.
 */
export function responseBody(
  response: IncomingMessage,
  options: ResponseBodyOptions,
): ReadableStream<Uint8Array> {
  const encoding = String(response.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const raw = receivedBytes(response, options);
  if (encoding === "identity") return boundedBytes(raw, options);
  const format = DECODERS[encoding];
  if (format === undefined) {
    raw.cancel();
    throw new CodedError(
      "unavailable",
      `${options.origin} answered in the encoding ${encoding}, not asked for`,
    );
  }
  return boundedBytes(raw.pipeThrough(new DecompressionStream(format)), options);
}

function receivedBytes(
  response: IncomingMessage,
  { origin, limits }: ResponseBodyOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Uint8Array<ArrayBuffer>> = response[Symbol.asyncIterator]();
  const onAbort = () => response.destroy();
  limits.signal.addEventListener("abort", onAbort);
  limits.heard();
  const over = () => {
    limits.signal.removeEventListener("abort", onAbort);
    limits[Symbol.dispose]();
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        limits.signal.throwIfAborted();
        if (!done) {
          limits.heard();
          return controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        }
        if (!response.complete) throw new Error("the end is missing");
        over();
        controller.close();
      } catch (error) {
        over();
        controller.error(limits.signal.aborted ? limits.signal.reason : broken(origin, error));
      }
    },
    cancel() {
      over();
      response.destroy();
    },
  }, { highWaterMark: 0 });
}

function broken(origin: string, cause: unknown): CodedError {
  return new CodedError("unavailable", `${origin} broke its answer off: ${errorMessage(cause)}`, { cause });
}

function boundedBytes(
  source: ReadableStream<Uint8Array>,
  { origin, maxBytes, limits }: ResponseBodyOptions,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let total = 0;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        total += value.byteLength;
        if (maxBytes > 0 && total > maxBytes) {
          throw new CodedError(
            "resource_exhausted",
            `The answer of ${origin} is larger than ${maxBytes} bytes`,
          );
        }
        controller.enqueue(value);
      } catch (error) {
        await reader.cancel(error).catch(() => {}); // It has failed already: its own error is the one at hand.
        if (limits.signal.aborted) controller.error(limits.signal.reason);
        else controller.error(error instanceof CodedError ? error : broken(origin, error));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
