import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { clearTimeout, setTimeout } from "node:timers";
import { MAX_TIMER_MS } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { codeOfStatus, MAX_RPC_MESSAGE_BYTES } from "../core/rpc.ts";
import {
  type CallRequestFrameSchema,
  CallsRequestSchema,
  CallsResponseSchema,
} from "../gen/agentanycast/v1/call_service_pb.ts";
import { decodeMessage, encodeMessage } from "./codecs.ts";
import { ConnectionLostError } from "./http2_connection.ts";
import type { RpcCallOptions } from "./rpc_client.ts";
import type { Duplex, DuplexEvents, OpenDuplex } from "./rpc_duplex.ts";

/** Items of a response stream that may be under way or waiting for their consumer. */
const STREAM_CREDIT = 8;
/** Most bytes of frames that travel together; a larger frame travels alone. */
const MAX_BATCH_BYTES = 256 * 1024;
/** What a frame costs besides its request. */
const FRAME_BYTES = 96;
/** Calls open at once, together what a daemon takes on one stream; unary ones never wait for streams to end. */
const MAX_OPEN_UNARY = 1_024;
const MAX_OPEN_STREAMS = 3_072;
const NO_REASON = "The daemon gave no reason";
const MAX_CALL_ID = 2 ** 32 - 1;

/** Largest request: what a daemon takes in one message, with room for what surrounds it. */
const MAX_REQUEST_BYTES = MAX_RPC_MESSAGE_BYTES - 64 * 1024;

type RequestFrame = MessageInitShape<typeof CallRequestFrameSchema>;

/** What is done with the answers of a call. */
interface Receiver {
  message(bytes: Uint8Array): void;
  /** The last thing heard; without `error` the call ended well. */
  end(error?: CodedError): void;
}

/** A place for each of so many calls; the others wait in their order. */
interface Lane {
  readonly places: number;
  open: number;
  readonly waiting: Set<Call>;
}

interface Call {
  readonly lane: Lane;
  readonly receiver: Receiver;
  /** The first frame, which begins the call. */
  readonly frame: RequestFrame & { callId: number };
  readonly deadlineMs: number;
  readonly stopListening: () => void;
}

interface NewCall {
  readonly request: unknown;
  readonly options: RpcCallOptions;
  readonly receiver: Receiver;
  readonly lane: Lane;
}

/**
 * Unary and server-streaming calls over one stream of the daemon's `CallService`, opened by the first of them. Every failed call
 * throws a `CodedError`. When the stream ends, its calls throw `unavailable` and no more are taken: {@link ended}.
 */
export class CallStream implements Disposable {
  readonly #calls = new Map<number, Call>();
  readonly #unary: Lane = { places: MAX_OPEN_UNARY, open: 0, waiting: new Set() };
  readonly #streams: Lane = { places: MAX_OPEN_STREAMS, open: 0, waiting: new Set() };
  readonly #cut = new AbortController();
  readonly #open: OpenDuplex;
  #opened = false;
  #duplex: Duplex | undefined;
  #outbox: RequestFrame[] = [];
  #flushing = false;
  #hasRoom = false;
  #heard = false;
  #end: CodedError | undefined;
  #lastId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAtMs = Infinity;

  constructor(open: OpenDuplex) {
    this.#open = open;
  }

  /** Whether the stream is over; calls then throw `unavailable` at once. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Whether the stream ended because the daemon has no `CallService`: none of its calls was run. */
  get unsupported(): boolean {
    return !this.#heard && this.#end?.code === "unimplemented";
  }

  /** Makes one call. Throws `cancelled` by `signal`, `deadline_exceeded` after `timeoutMs`. */
  unary<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: RpcCallOptions = {},
  ): Promise<MessageShape<M["output"]>> {
    return new Promise((resolve, reject) => {
      let answer: Uint8Array | undefined;
      const receiver: Receiver = {
        message: (bytes) => answer = bytes,
        end: (error) => {
          if (error !== undefined) return reject(error);
          if (answer === undefined) {
            return reject(new CodedError("internal", "The call ended without an answer"));
          }
          try {
            resolve(readAnswer(method, answer));
          } catch (cause) {
            reject(cause);
          }
        },
      };
      this.#add(method, { request, options, receiver, lane: this.#unary });
    });
  }

  /** The call is made when the iteration begins and cancelled when the loop is left; a slow loop slows the daemon. */
  async *stream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: RpcCallOptions = {},
  ): AsyncGenerator<MessageShape<M["output"]>> {
    const items: Uint8Array[] = [];
    let end: { error?: CodedError | undefined } | undefined;
    let wake: (() => void) | undefined;
    const receiver: Receiver = {
      message: (bytes) => {
        items.push(bytes);
        wake?.();
      },
      end: (error) => {
        end = { error };
        wake?.();
      },
    };
    const call = this.#add(method, { request, options, receiver, lane: this.#streams });
    let taken = 0;
    try {
      while (true) {
        if (options.signal?.aborted) items.length = 0;
        const item = items.shift();
        if (item !== undefined) {
          if (++taken === STREAM_CREDIT / 2) {
            if (call !== undefined && end === undefined) {
              this.#push({ callId: call.frame.callId, credit: taken });
            }
            taken = 0;
          }
          yield readAnswer(method, item);
        } else if (end !== undefined) {
          if (end.error !== undefined) throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => wake = resolve);
        }
      }
    } finally {
      if (call !== undefined) this.#cancel(call);
    }
  }

  /** Cuts the stream; open calls throw `unavailable`. */
  [Symbol.dispose](): void {
    this.#finish(new ConnectionLostError("The stream of the call was closed"));
  }

  /** Takes up a call; undefined when the receiver has been told its end already. */
  #add(method: DescMethod, { request, options, receiver, lane }: NewCall): Call | undefined {
    const { signal, timeoutMs, headers } = options;
    const message = encodeMessage(method.input, request as MessageInitShape<typeof method.input>);
    const refusal = this.#refusal(message, signal);
    if (refusal !== undefined) {
      receiver.end(refusal);
      return undefined;
    }
    const onAbort = () =>
      this.#cancel(call, new CodedError("cancelled", "The call was cancelled", { cause: signal?.reason }));
    signal?.addEventListener("abort", onAbort, { once: true });
    const call: Call = {
      lane,
      receiver,
      frame: {
        callId: this.#newId(),
        method: pathOf(method),
        message,
        ...(headers === undefined ? {} : { metadata: { ...headers } }),
        credit: method.methodKind === "unary" ? 0 : STREAM_CREDIT,
      },
      deadlineMs: timeoutMs === undefined ? Infinity : performance.now() + timeoutMs,
      stopListening: () => signal?.removeEventListener("abort", onAbort),
    };
    this.#calls.set(call.frame.callId, call);
    this.#watch(call.deadlineMs);
    if (lane.open < lane.places) this.#begin(call);
    else lane.waiting.add(call);
    return call;
  }

  #refusal(message: Uint8Array, signal: AbortSignal | undefined): CodedError | undefined {
    if (signal?.aborted) {
      return new CodedError("cancelled", "The call was cancelled", { cause: signal.reason });
    }
    if (this.#end !== undefined) return this.#end;
    if (message.length <= MAX_REQUEST_BYTES) return undefined;
    return new CodedError(
      "resource_exhausted",
      `The request has ${message.length} bytes, at most ${MAX_REQUEST_BYTES} are taken`,
    );
  }

  #newId(): number {
    do {
      this.#lastId = this.#lastId % MAX_CALL_ID + 1;
    } while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }

  #begin(call: Call): void {
    call.lane.open++;
    this.#push(call.frame);
  }

  /** Ends a call from this side; nothing when it has ended. */
  #cancel(call: Call, error?: CodedError): void {
    if (!this.#calls.has(call.frame.callId)) return;
    const unsent = this.#outbox.indexOf(call.frame);
    if (unsent >= 0) this.#outbox.splice(unsent, 1);
    else if (!call.lane.waiting.has(call)) this.#push({ callId: call.frame.callId, cancel: true });
    this.#close(call, error);
  }

  /** Forgets a call, tells its receiver and lets the next one begin. */
  #close(call: Call, error?: CodedError): void {
    const { lane, receiver } = call;
    this.#calls.delete(call.frame.callId);
    call.stopListening();
    if (!lane.waiting.delete(call)) {
      lane.open--;
      const [next] = lane.waiting;
      if (next !== undefined) {
        lane.waiting.delete(next);
        this.#begin(next);
      }
    }
    receiver.end(error);
  }

  #push(frame: RequestFrame): void {
    if (this.#end !== undefined) return;
    this.#outbox.push(frame);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#end !== undefined) return;
    if (!this.#opened) this.#openStream();
    while (this.#hasRoom && this.#duplex !== undefined && this.#outbox.length > 0) {
      const frames = takeBatch(this.#outbox);
      this.#hasRoom = this.#duplex.send(encodeMessage(CallsRequestSchema, { frames }));
    }
  }

  #openStream(): void {
    this.#opened = true;
    const events: DuplexEvents = {
      message: (bytes) => this.#receive(bytes),
      drain: () => {
        this.#hasRoom = true;
        this.#flush();
      },
      end: (error) =>
        this.#finish(error ?? new ConnectionLostError("The daemon ended the stream of the call")),
    };
    this.#open(events, this.#cut.signal).then((duplex) => {
      this.#duplex = duplex;
      events.drain();
    }).catch((error) => this.#finish(error));
  }

  #receive(bytes: Uint8Array): void {
    this.#heard = true;
    for (const { callId, message, end, status, error } of decodeMessage(CallsResponseSchema, bytes).frames) {
      const call = this.#calls.get(callId);
      if (call === undefined) continue; // cancelled while this was on its way
      if (message !== undefined) call.receiver.message(message);
      if (!end) continue;
      this.#close(call, status === 0 ? undefined : new CodedError(codeOfStatus(status), error || NO_REASON));
    }
  }

  /** Ends the stream and all its calls. */
  #finish(cause: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = toEnd(cause, this.#heard);
    this.#cut.abort(this.#end);
    clearTimeout(this.#timer);
    this.#outbox = [];
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { receiver, stopListening } of calls) {
      stopListening();
      receiver.end(this.#end);
    }
  }

  /** One timer for all deadlines, set to the first of them: a timer for each call would cost more than the call. */
  #watch(deadlineMs: number): void {
    if (deadlineMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = deadlineMs;
    const delayMs = Math.max(0, Math.ceil(deadlineMs - performance.now()));
    this.#timer = setTimeout(() => this.#expire(), Math.min(delayMs, MAX_TIMER_MS));
    this.#timer.unref(); // it may outlast the calls; those hold the process by their connection
  }

  #expire(): void {
    this.#timerAtMs = Infinity;
    const now = performance.now();
    let firstMs = Infinity;
    for (const call of [...this.#calls.values()]) {
      if (call.deadlineMs > now) firstMs = Math.min(firstMs, call.deadlineMs);
      else {this.#cancel(
          call,
          new CodedError("deadline_exceeded", "No answer before the deadline of the call"),
        );}
    }
    this.#watch(firstMs);
  }
}

/** What the calls of a stream throw that ended because of `cause`. */
function toEnd(cause: unknown, heard: boolean): CodedError {
  if (cause instanceof ConnectionLostError) return cause;
  if (cause instanceof CodedError && cause.code === "unimplemented" && !heard) return cause;
  return new ConnectionLostError("The connection to the daemon was lost", { cause });
}

function takeBatch(outbox: RequestFrame[]): RequestFrame[] {
  let count = 0;
  let bytes = 0;
  for (const { message, metadata } of outbox) {
    bytes += FRAME_BYTES + (message?.length ?? 0);
    for (const [key, value] of Object.entries(metadata ?? {})) bytes += key.length + value.length;
    if (count > 0 && bytes > MAX_BATCH_BYTES) break;
    count++;
  }
  return outbox.splice(0, count);
}

function readAnswer<M extends DescMethod>(method: M, bytes: Uint8Array): MessageShape<M["output"]> {
  const output: M["output"] = method.output;
  try {
    return decodeMessage(output, bytes);
  } catch (cause) {
    throw new CodedError("internal", `The ${method.output.name} cannot be read`, { cause });
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
