import type {
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { startTimer, systemClock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { codeOfStatus, GRPC_STATUS, MAX_RPC_ANSWER_BYTES } from "../core/rpc.ts";
import { parseRpcAddress } from "../core/rpc_address.ts";
import { encodeMessage } from "./codecs.ts";
import { ConnectionLostError, type ConnectionOptions, Http2Connection } from "./http2_connection.ts";
import { toRpcMethodDefinition } from "./method_definition.ts";
import { uploadTo } from "./rpc_upload.ts";

/** How one call is made. */
export interface RpcCallOptions {
  /** Cancels the call; it then throws `cancelled`. */
  signal?: AbortSignal | undefined;
  /** The call throws `deadline_exceeded` after this many milliseconds. Default: no limit. */
  timeoutMs?: number;
  /** Sent with the call as its text headers; names in lower case. */
  headers?: Readonly<Record<string, string>>;
  /** Longest message that is taken for an answer, in bytes; a longer one throws `resource_exhausted`. Default 65 MiB. */
  maxAnswerBytes?: number;
}

/**
 * A typed gRPC client. Every failed call throws a `CodedError`: a `ConnectionLostError` when nobody answers there, or the
 * connection ended before the answer.
 */
export interface RpcClient extends Disposable {
  unary<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options?: RpcCallOptions,
  ): Promise<MessageShape<M["output"]>>;
  /** The call is made when the iteration begins and cancelled when the loop is left. */
  stream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options?: RpcCallOptions,
  ): AsyncIterable<MessageShape<M["output"]>>;
  /**
   * Sends `requests` as the server takes them, asking for the next one when there is room. What the iteration throws cancels
   * the call and is thrown; an answer before the end ends the iteration.
   */
  upload<M extends DescMethodClientStreaming>(
    method: M,
    requests: AsyncIterable<MessageInitShape<M["input"]>>,
    options?: RpcCallOptions,
  ): Promise<MessageShape<M["output"]>>;
  /** As {@link upload}, and gives the answers as they come. Begins with the iteration, ends when the loop is left. */
  exchange<M extends DescMethodBiDiStreaming>(
    method: M,
    requests: AsyncIterable<MessageInitShape<M["input"]>>,
    options?: RpcCallOptions,
  ): AsyncIterable<MessageShape<M["output"]>>;
}

/**
 * A client of the service at `address` (`unix:///path`, `tcp://host:port` or `tls://host:port`). Connects when first used, and again after the
 * connection is lost; has no timers or retries of its own. Throws `invalid_argument` for what is no address.
 */
export function createRpcClient(address: string, options: ConnectionOptions = {}): RpcClient {
  const connection = new Http2Connection(parseRpcAddress(address), options);
  return {
    unary: (method, request, options = {}) =>
      firstOf(call(connection, { method, send: sendOne(method, request), options })),
    stream: (method, request, options = {}) =>
      call(connection, { method, send: sendOne(method, request), options }),
    upload: (method, requests, options = {}) =>
      firstOf(call(connection, { method, send: sendAll(method, requests), options })),
    exchange: (method, requests, options = {}) =>
      call(connection, { method, send: sendAll(method, requests), options }),
    [Symbol.dispose]: () => connection.close(),
  };
}

type Method =
  | DescMethodUnary
  | DescMethodServerStreaming
  | DescMethodClientStreaming
  | DescMethodBiDiStreaming;

/** Writes the requests of a call and ends its stream; a promise when that takes time. Rejects with why it could not. */
type Send = (stream: http2.ClientHttp2Stream, signal: AbortSignal) => Promise<void> | undefined;

interface Call<M extends Method> {
  readonly method: M;
  readonly send: Send;
  readonly options: RpcCallOptions;
}

function sendOne<M extends Method>(method: M, request: MessageInitShape<M["input"]>): Send {
  const frame = toFrame(encode(method, request));
  return (stream) => void stream.end(frame);
}

function sendAll<M extends Method>(method: M, requests: AsyncIterable<MessageInitShape<M["input"]>>): Send {
  return (stream, signal) =>
    uploadTo(stream, requests, { toFrame: (request) => toFrame(encode(method, request)), signal });
}

function encode<M extends Method>(method: M, request: MessageInitShape<M["input"]>): Uint8Array {
  const input: M["input"] = method.input;
  return encodeMessage(input, request);
}

async function firstOf<T>(messages: AsyncGenerator<T>): Promise<T> {
  let answer: { message: T } | undefined;
  for await (const message of messages) answer = { message }; // to its end, since the status comes last
  if (answer !== undefined) return answer.message;
  throw new CodedError("internal", "The call ended without an answer");
}

/** One call by the rules of https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and nothing but those. */
async function* call<M extends Method>(
  connection: Http2Connection,
  { method, send, options: { signal, timeoutMs, headers, maxAnswerBytes } }: Call<M>,
): AsyncGenerator<MessageShape<M["output"]>> {
  const definition = toRpcMethodDefinition<M>(method);
  const limit = new AbortController();
  const onAbort = () =>
    limit.abort(new CodedError("cancelled", "The call was cancelled", { cause: signal?.reason }));
  const expire = () => limit.abort(new CodedError("deadline_exceeded", `No answer within ${timeoutMs} ms`));
  const timer = timeoutMs === undefined ? undefined : startTimer(systemClock, timeoutMs, expire);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  let end: CallEnd | undefined;
  try {
    limit.signal.throwIfAborted();
    const stream = await connection.request({
      ...headers,
      [http2.constants.HTTP2_HEADER_METHOD]: "POST",
      [http2.constants.HTTP2_HEADER_PATH]: definition.path,
      [http2.constants.HTTP2_HEADER_TE]: "trailers",
      [http2.constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto",
      ...(timeoutMs === undefined ? {} : { "grpc-timeout": toGrpcTimeout(timeoutMs) }),
    }, limit.signal);
    end = new CallEnd(stream);
    send(stream, limit.signal)?.catch((error) => limit.abort(error)); // what cannot be sent ends the call
    for await (const bytes of framesIn(stream, maxAnswerBytes)) yield definition.responseDeserialize(bytes);
    end.check();
  } catch (error) {
    limit.signal.throwIfAborted(); // then everything else is a consequence
    throw end === undefined ? error : end.explain(error);
  } finally {
    timer?.[Symbol.dispose]();
    signal?.removeEventListener("abort", onAbort);
    limit.abort();
  }
}

/** What the headers and trailers of a call tell about its end. */
class CallEnd {
  readonly #stream: http2.ClientHttp2Stream;
  #httpStatus: number | undefined;
  #grpcStatus: number | undefined;
  #message = "";

  constructor(stream: http2.ClientHttp2Stream) {
    this.#stream = stream;
    stream.on("error", () => {}); // whoever reads meets it; this one is for what comes after the reading
    stream.on("response", (headers) => this.#read(headers));
    stream.on("trailers", (headers) => this.#read(headers));
  }

  /** Throws unless the call ended well. */
  check(): void {
    if (this.#grpcStatus !== 0) throw this.explain(undefined);
  }

  /** The status when there is one, else what the way the stream ended stands for. */
  explain(cause: unknown): CodedError {
    if (this.#grpcStatus !== undefined && this.#grpcStatus !== 0) {
      return new CodedError(codeOfStatus(this.#grpcStatus), this.#message || "No reason was given");
    }
    if (cause instanceof CodedError) return cause;
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) {
      return new CodedError("unavailable", `No gRPC service answers there: HTTP status ${this.#httpStatus}`);
    }
    const what = "The connection was lost";
    return this.#stream.rstCode === http2.constants.NGHTTP2_CANCEL
      ? new CodedError("cancelled", what, { cause })
      : new ConnectionLostError(what, { cause });
  }

  #read(headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader): void {
    this.#httpStatus ??= headers[":status"];
    const status = headers["grpc-status"];
    if (status === undefined) return;
    this.#grpcStatus = Number(status);
    if (!Number.isInteger(this.#grpcStatus)) this.#grpcStatus = GRPC_STATUS.unknown;
    this.#message = percentDecode(String(headers["grpc-message"] ?? ""));
  }
}

/** The messages of a body: each has a byte for compression, which we never ask for, and its length before it. */
async function* framesIn(
  body: AsyncIterable<Uint8Array>,
  maxBytes = MAX_RPC_ANSWER_BYTES,
): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let held = 0;
  let wanted = PREFIX_BYTES;
  for await (const chunk of body) {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const bytes = chunks.length === 1 ? chunks[0] ?? EMPTY : Buffer.concat(chunks, held);
      chunks = [bytes];
      wanted = PREFIX_BYTES + lengthIn(bytes, maxBytes);
      if (held < wanted) break;
      yield bytes.subarray(PREFIX_BYTES, wanted);
      chunks = [bytes.subarray(wanted)];
      held -= wanted;
      wanted = PREFIX_BYTES;
    }
  }
  if (held > 0) throw new CodedError("data_loss", "The answer ends in the middle of a message");
}

const PREFIX_BYTES = 5;
const EMPTY = new Uint8Array(0);

function lengthIn(frame: Uint8Array, maxBytes: number): number {
  if (frame[0] !== 0) throw new CodedError("internal", "The answer is compressed, which nobody asked for");
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(1);
  if (length <= maxBytes) return length;
  throw new CodedError(
    "resource_exhausted",
    `The answer has ${length} bytes, at most ${maxBytes} are taken`,
  );
}

function toFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** At most eight digits are allowed, so long times go out in seconds. */
function toGrpcTimeout(timeoutMs: number): string {
  const wholeMs = Math.ceil(timeoutMs);
  return wholeMs < 1e8 ? `${wholeMs}m` : `${Math.min(Math.ceil(wholeMs / 1_000), 99_999_999)}S`;
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not encoded as it should be: shown as it came
  }
}
