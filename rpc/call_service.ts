import { BinaryReader } from "@bufbuild/protobuf/wire";
import { abortable } from "../core/abortable.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { GRPC_STATUS, MAX_RPC_ANSWER_BYTES } from "../core/rpc.ts";
import {
  type CallRequestFrame,
  CallService,
  type CallsRequest,
} from "../gen/agentanycast/v1/call_service_pb.ts";
import { MAX_METADATA_BYTES, toCallStatus } from "./calls.ts";
import { FrameOutbox } from "./frame_outbox.ts";
import { createRpcService, type RpcContext, type RpcMethod, type RpcService } from "./rpc_service.ts";

/** What a message of frames may need besides the answer in it. */
const FRAME_ROOM_BYTES = 1024;
/** Most frames in one message. */
const MAX_FRAMES = 8_192;
/** More than any client asks for; keeps the sum a small number. */
const MAX_CREDIT = 2 ** 31;
/** Unary calls at work on one stream. More wait to be read. */
const MAX_UNARY_AT_WORK = 128;

export interface CallServiceOptions {
  /** Most calls at work on one stream; one more is answered `resource_exhausted`. Default 4,096. */
  maxCalls?: number;
  /** Most bytes of the requests of unary calls at work on one stream; a lone one may be larger. More wait to be read. Default 64 MiB. */
  maxUnaryBytes?: number;
}

/** `CallService`: the unary and server-streaming methods of `services`, run by the same handlers over one stream. */
export function createCallService(
  { services, logger }: { services: readonly RpcService[]; logger: Logger },
  { maxCalls = 4_096, maxUnaryBytes = 64 * 1024 * 1024 }: CallServiceOptions = {},
): RpcService {
  const methods = new Map(
    services.flatMap((service) => service.methods.map((method) => [method.definition.path, method] as const)),
  );
  const service = createRpcService(CallService, {
    calls: (requests, context) =>
      new CallSession({ methods, logger, context, maxCalls, maxUnaryBytes }).run(requests),
  });
  return { ...service, methods: service.methods.map(withFrameLimit) };
}

/** Counts the frames of a message before they are made: each takes many times the two bytes it may come in. */
function withFrameLimit({ definition, handle }: RpcMethod): RpcMethod {
  const requestDeserialize = (bytes: Uint8Array): unknown => {
    if (bytes.length <= 2 * MAX_FRAMES || countFields(bytes) <= MAX_FRAMES) {
      return definition.requestDeserialize(bytes);
    }
    return new CodedError("invalid_argument", `A message has more than ${MAX_FRAMES} frames`);
  };
  return { definition: { ...definition, requestDeserialize }, handle };
}

function countFields(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let count = 0;
  try {
    for (; reader.pos < reader.len; count++) {
      const [field, wireType] = reader.tag();
      reader.skip(wireType, field);
    }
  } catch {
    // Malformed from here on: reading it fails at the same place, with the same reason.
  }
  return count;
}

interface CallSessionDeps {
  readonly methods: ReadonlyMap<string, RpcMethod>;
  readonly logger: Logger;
  readonly context: RpcContext;
  readonly maxCalls: number;
  readonly maxUnaryBytes: number;
}

/** The calls of one stream. */
class CallSession {
  readonly #deps: CallSessionDeps;
  readonly #outbox = new FrameOutbox();
  /** By id; a cancelled call is not here any more while its handler may still be at work. */
  readonly #calls = new Map<number, OpenCall>();
  #atWork = 0;
  #unaryAtWork = 0;
  #unaryBytes = 0;
  #onUnaryLeft: () => void = () => {};
  /** Answers that wait for room, and the last of them. */
  #turns = 0;
  #turn: Promise<void> = Promise.resolve();
  #stopping: { reason: unknown } | undefined;

  constructor(deps: CallSessionDeps) {
    this.#deps = deps;
  }

  /** Not a generator: `return()` must get through while `next()` waits. */
  run(
    requests: AsyncIterable<CallsRequest>,
  ): AsyncIterable<Awaited<ReturnType<FrameOutbox["next"]>>["value"]> {
    const { signal } = this.#deps.context;
    const onAbort = () => this.#stop(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    void this.#read(requests);
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => this.#outbox.next(),
        return: () => {
          signal.removeEventListener("abort", onAbort);
          this.#end(new CodedError("cancelled", "The stream of the call ended"));
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
  }

  /** Reads until the client's end. Leaves the iterator alone after an error: closing it would close the answers with it. */
  async #read(requests: AsyncIterable<CallsRequest>): Promise<void> {
    const iterator = requests[Symbol.asyncIterator]();
    try {
      while (true) {
        const { done, value } = await iterator.next();
        if (done) break;
        for (const frame of value.frames) {
          const { method, message } = frame;
          while (method !== "" && this.#isFullFor(message.length)) {
            await new Promise<void>((resolve) => this.#onUnaryLeft = resolve);
          }
          this.#accept(frame);
        }
        if (this.#outbox.full) await this.#outbox.room();
      }
      this.#end();
    } catch (error) {
      this.#end(error);
    }
  }

  /** Whether unary calls hold as much as is good: nothing more is read until one of them is answered. */
  #isFullFor(bytes: number): boolean {
    if (this.#stopping !== undefined) return false;
    return this.#unaryAtWork >= MAX_UNARY_AT_WORK ||
      (this.#unaryAtWork > 0 && this.#unaryBytes + bytes > this.#deps.maxUnaryBytes);
  }

  #accept(frame: CallRequestFrame): void {
    const { callId, method, message, metadata, credit, cancel } = frame;
    if (callId === 0) throw new CodedError("invalid_argument", "A frame has no call id");
    const call = this.#calls.get(callId);
    if (method !== "") {
      if (call !== undefined) this.#refuseTwice(call);
      else if (this.#stopping === undefined) this.#begin(frame); // else it ends with the stream, as if it came too late
      return;
    }
    if (message.length > 0 || Object.keys(metadata).length > 0) {
      throw new CodedError("invalid_argument", `A frame of call ${callId} has a request but no method`);
    }
    if (call === undefined) return; // it ended while this was on its way
    if (cancel) {
      this.#calls.delete(callId);
      call.abort(new CodedError("cancelled", "The call was cancelled"));
    } else {
      call.addCredit(credit);
    }
  }

  #refuseTwice(call: OpenCall): void {
    const error = new CodedError("invalid_argument", `Two calls have the id ${call.id}`);
    this.#fail(call, error);
    call.abort(error);
  }

  #begin({ callId, method: path, message, metadata, credit }: CallRequestFrame): void {
    const call = new OpenCall(callId, this.#deps.context);
    this.#calls.set(callId, call);
    try {
      if (this.#atWork >= this.#deps.maxCalls) {
        throw new CodedError("resource_exhausted", `${this.#atWork} calls are at work on this stream: wait`);
      }
      const method = this.#deps.methods.get(path);
      if (method === undefined || method.definition.requestStream) {
        throw new CodedError("unimplemented", `${path} cannot be called here`);
      }
      call.isStream = method.definition.responseStream;
      call.addMetadata(metadata);
      call.addCredit(credit);
      const request = method.definition.requestDeserialize(message);
      const begun = { method, request, bytes: message.length };
      void (method.definition.responseStream
        ? this.#answerStream(call, begun)
        : this.#answerOne(call, begun));
    } catch (error) {
      this.#fail(call, error);
    }
  }

  async #answerOne(call: OpenCall, { method, request, bytes }: Begun): Promise<void> {
    this.#atWork++;
    this.#unaryAtWork++;
    this.#unaryBytes += bytes;
    try {
      const answer = await method.handle(request, call);
      await this.#inTurn(() => this.#answer(call, serialize(method, answer)));
    } catch (error) {
      this.#fail(call, error, method);
    } finally {
      this.#unaryAtWork--;
      this.#unaryBytes -= bytes;
      this.#onUnaryLeft();
      this.#leave();
    }
  }

  /** Does `work`, which fills the outbox, once that has room; one after the other. */
  async #inTurn(work: () => void): Promise<void> {
    if (this.#turns === 0 && !this.#outbox.full) return work();
    this.#turns++;
    const turn = this.#turn.then(async () => {
      this.#turns--;
      await this.#outbox.room();
      work();
    });
    this.#turn = turn.catch(() => {
      // Whoever waits for this turn is told.
    });
    await turn;
  }

  #answer(call: OpenCall, message: Uint8Array): void {
    if (this.#calls.get(call.id) !== call) return; // cancelled meanwhile
    this.#calls.delete(call.id);
    this.#outbox.push({ callId: call.id, message, end: true });
  }

  async #answerStream(call: OpenCall, { method, request }: Begun): Promise<void> {
    this.#atWork++;
    const { signal } = call;
    let iterator: AsyncIterator<unknown> | undefined;
    try {
      iterator = (method.handle(request, call) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      while (true) {
        await abortable(call.takeCredit(), signal);
        if (this.#outbox.full) await abortable(this.#outbox.room(), signal);
        const result = await abortable(iterator.next(), signal);
        if (result.done) break;
        this.#outbox.push({ callId: call.id, message: serialize(method, result.value) });
      }
      this.#calls.delete(call.id);
      this.#outbox.push({ callId: call.id, end: true });
    } catch (error) {
      // Not waited for: return() of a generator lasts as long as what it is awaiting.
      iterator?.return?.().catch((cause: unknown) => this.#log(cause, method));
      this.#fail(call, error, method);
    } finally {
      this.#leave();
    }
  }

  #fail(call: OpenCall, error: unknown, method?: RpcMethod): void {
    if (this.#calls.get(call.id) !== call) return; // cancelled meanwhile: nobody waits for the answer
    this.#calls.delete(call.id);
    const { code, details } = toCallStatus(error);
    if (code === GRPC_STATUS.internal && method !== undefined) this.#log(error, method);
    this.#outbox.push({ callId: call.id, end: true, status: code, error: details });
  }

  #leave(): void {
    this.#atWork--;
    this.#endIfDone();
  }

  /** Begins no more calls, ends the response streams, and the answers when the last call at work is answered. */
  #stop(reason: unknown): void {
    this.#stopping = { reason };
    this.#onUnaryLeft();
    for (const call of [...this.#calls.values()]) if (call.isStream) call.abort(reason);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#stopping !== undefined && this.#calls.size === 0) this.#end(this.#stopping.reason);
  }

  /** Ends the answers, with `error` or well, and all calls. */
  #end(error?: unknown): void {
    this.#outbox.close(error);
    const open = [...this.#calls.values()];
    this.#calls.clear();
    const reason = error ?? new CodedError("cancelled", "The client ended the stream of the call");
    for (const call of open) call.abort(reason);
  }

  #log(error: unknown, method: RpcMethod): void {
    this.#deps.logger.error("gRPC call failed", { method: method.definition.path, error });
  }
}

interface Begun {
  readonly method: RpcMethod;
  readonly request: unknown;
  /** Size of the request. */
  readonly bytes: number;
}

/** A call and what its handler knows about it. */
class OpenCall implements RpcContext {
  readonly id: number;
  readonly peer: string;
  readonly peerId: string | undefined;
  /** Whether it is answered by a stream. */
  isStream = false;
  metadata: ReadonlyMap<string, string>;
  #credit = 0;
  #wake: (() => void) | undefined;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;

  constructor(id: number, { peer, peerId, metadata }: RpcContext) {
    this.id = id;
    this.peer = peer;
    this.peerId = peerId;
    this.metadata = metadata;
  }

  /** Made when it is asked for: most handlers are done before they could be told anything. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#controller?.abort(reason);
  }

  /** Headers of the call itself, over those of the stream. Throws `resource_exhausted` when they are too many. */
  addMetadata(headers: Readonly<Record<string, string>>): void {
    const entries = Object.entries(headers);
    if (entries.length === 0) return;
    const bytes = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (bytes > MAX_METADATA_BYTES) {
      throw new CodedError(
        "resource_exhausted",
        `Call headers are ${bytes} bytes, at most ${MAX_METADATA_BYTES} are taken`,
      );
    }
    this.metadata = new Map([
      ...this.metadata,
      ...entries.map(([key, value]) => [key.toLowerCase(), value] as const),
    ]);
  }

  addCredit(items: number): void {
    this.#credit = Math.min(this.#credit + items, MAX_CREDIT);
    if (this.#credit > 0) this.#wake?.();
  }

  /** Resolves when the client takes one more item, which is then counted. Has one caller at a time. */
  async takeCredit(): Promise<void> {
    while (this.#credit === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
    this.#credit--;
  }
}

function serialize(method: RpcMethod, response: unknown): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = method.definition.responseSerialize(response);
  } catch (cause) {
    throw new CodedError("internal", `The answer cannot be written: ${errorMessage(cause)}`, { cause });
  }
  if (bytes.length <= MAX_RPC_ANSWER_BYTES - FRAME_ROOM_BYTES) return bytes;
  throw new CodedError("resource_exhausted", `The answer has ${bytes.length} bytes, too many to be sent`);
}
