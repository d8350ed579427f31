import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { CodedError } from "../core/errors.ts";
import { codeOfStatus, MAX_RPC_ANSWER_BYTES } from "../core/rpc.ts";
import type { Http2Connection } from "./http2_connection.ts";

const PREFIX_BYTES = 5;

/** What one hears of an open stream; nothing after `end`. */
export interface DuplexEvents {
  message(bytes: Uint8Array): void;
  /** There is room again after `send` answered false. */
  drain(): void;
  /** The stream ended, well (`undefined`) or not; how it is told apart is up to the gRPC status. */
  end(error: CodedError | undefined): void;
}

/** An open bidirectional gRPC stream. */
export interface Duplex {
  /** Sends one message; false when the next one should wait for `drain`. Nothing happens after the end. */
  send(message: Uint8Array): boolean;
}

/** Opens a bidirectional gRPC stream; `signal` cuts it. Rejects with what `Http2Connection.request` throws. */
export type OpenDuplex = (events: DuplexEvents, signal: AbortSignal) => Promise<Duplex>;

/** Opens streams of the method at `path` on `connection`. */
export function createOpenDuplex(connection: Http2Connection, path: string): OpenDuplex {
  return async (events, signal) => {
    const stream = await connection.request({
      [http2.constants.HTTP2_HEADER_METHOD]: "POST",
      [http2.constants.HTTP2_HEADER_PATH]: path,
      [http2.constants.HTTP2_HEADER_TE]: "trailers",
      [http2.constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto",
    }, signal);
    return attach(stream, events);
  };
}

function attach(stream: http2.ClientHttp2Stream, events: DuplexEvents): Duplex {
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  let ended = false;
  const end = (error: CodedError | undefined) => {
    if (ended) return;
    ended = true;
    stream.close(http2.constants.NGHTTP2_CANCEL); // when the daemon ended first, its side is still open here
    events.end(error);
  };
  const split = createSplitter((message) => ended || events.message(message));
  let cause: unknown;
  stream.on("response", (received) => headers = received);
  stream.on("trailers", (received) => headers = { ...headers, ...received });
  stream.on("drain", () => ended || events.drain());
  stream.on("data", (chunk: Buffer) => {
    if (ended) return;
    try {
      split(chunk);
    } catch (error) {
      end(new CodedError("unavailable", "The daemon sent what is no gRPC", { cause: error }));
    }
  });
  stream.on("error", (error) => cause = error);
  stream.on("end", () => headers["grpc-status"] === undefined || end(toEnd(headers, cause)));
  stream.on("close", () => end(toEnd(headers, cause)));
  return { send: (message) => ended || stream.destroyed || stream.write(toFrame(message)) };
}

function toEnd(headers: http2.IncomingHttpHeaders, cause: unknown): CodedError | undefined {
  const status = headers["grpc-status"];
  if (status === "0") return undefined;
  if (status === undefined) {
    return new CodedError("unavailable", "The connection to the daemon was lost", { cause });
  }
  const reason = String(headers["grpc-message"] ?? "") || "no reason given";
  return new CodedError(codeOfStatus(Number(status)), `The daemon ended the stream: ${reason}`, { cause });
}

/** Cuts a body into messages: each has a byte for compression, which we never ask for, and its length before it. */
function createSplitter(onMessage: (message: Uint8Array) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted = PREFIX_BYTES;
  return (chunk) => {
    chunks.push(chunk);
    held += chunk.length;
    if (held < wanted) return;
    let bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks, held);
    while (bytes.length >= PREFIX_BYTES) {
      wanted = PREFIX_BYTES + lengthIn(bytes);
      if (bytes.length < wanted) break;
      onMessage(bytes.subarray(PREFIX_BYTES, wanted));
      bytes = bytes.subarray(wanted);
      wanted = PREFIX_BYTES;
    }
    chunks = bytes.length > 0 ? [bytes] : [];
    held = bytes.length;
  };
}

function lengthIn(frame: Buffer): number {
  const length = frame.readUInt32BE(1);
  if (frame[0] === 0 && length <= MAX_RPC_ANSWER_BYTES) return length;
  throw new CodedError("resource_exhausted", `The message is compressed or too long: ${length} bytes`);
}

function toFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
