import type { ServerResponse } from "node:http";
import { CodedError } from "../core/errors.ts";

export interface ServerResponseOptions {
  /** How long the reader may take until there is room for more, in milliseconds. */
  stallMs: number;
  isHead: boolean;
}

/** What is written of an answer before its reader has to take some of it. */
const PIECE_BYTES = 256 * 1024;

/** Writes the answer; what is a stream of events goes out piece by piece, as fast as its reader takes it. */
export async function writeResponse(
  response: ServerResponse,
  answer: Response,
  { stallMs, isHead }: ServerResponseOptions,
): Promise<void> {
  const { status, headers, body } = answer;
  for (const [name, value] of headers) {
    if (name !== "set-cookie") response.setHeader(name, value);
  }
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  response.statusCode = status;
  if (body === null || isHead) {
    await body?.cancel();
    response.end();
    return;
  }
  if (headers.get("content-type")?.startsWith("text/event-stream") !== true) {
    const bytes = new Uint8Array(await answer.arrayBuffer());
    response.setHeader("content-length", bytes.byteLength);
    if (bytes.byteLength <= PIECE_BYTES) response.end(bytes);
    else await pipe(inPieces(bytes), response, stallMs);
    return;
  }
  response.flushHeaders();
  await pipe(body, response, stallMs);
}

/** So that a reader who takes nothing is noticed, and does not keep all of it in memory. */
function inPieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let from = 0;
  return new ReadableStream({
    pull(stream) {
      stream.enqueue(bytes.subarray(from, from += PIECE_BYTES));
      if (from >= bytes.byteLength) stream.close();
    },
  }, { highWaterMark: 0 });
}

async function pipe(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  stallMs: number,
): Promise<void> {
  const reader = body.getReader();
  const cancel = (reason?: CodedError) =>
    reader.cancel(reason).catch(() => {
      // It has failed already, which was told; or its source did not take its end well, which nobody waits for.
    });
  const onClose = () => void cancel(new CodedError("cancelled", "The reader has gone"));
  response.once("close", onClose);
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done || response.destroyed) break;
      if (!response.write(value)) await drained(response, stallMs);
    }
    response.end();
  } finally {
    response.off("close", onClose);
    await cancel();
  }
}

/** Waits until there is room for more. @throws CodedError `deadline_exceeded`, `cancelled`. */
async function drained(response: ServerResponse, stallMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = () => reject(new CodedError("cancelled", "The reader has gone"));
  const timer = setTimeout(() => {
    reject(new CodedError("deadline_exceeded", `The reader has taken nothing for ${stallMs} ms`));
  }, stallMs);
  response.once("drain", resolve);
  response.once("close", onClose);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    response.off("drain", resolve);
    response.off("close", onClose);
  }
}
