import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import type { EventEmitter } from "node:events";
import { abortable } from "../core/abortable.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { GRPC_STATUS } from "../core/rpc.ts";
import { ErrorInfoSchema, StatusSchema } from "../gen/google/rpc/status_pb.ts";
import type { RpcContext, RpcMethod, RpcService } from "./rpc_service.ts";

/** Limit of the text headers of one call, as HTTP servers commonly have it. */
export const MAX_METADATA_BYTES = 16 * 1024;
/** Longest error text sent: it travels in a header. */
const MAX_MESSAGE_CHARS = 2_000;

type UnaryCall = grpc.ServerUnaryCall<unknown, unknown> | grpc.ServerReadableStream<unknown, unknown>;
type StreamCall = grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>;

/** The calls a server is answering, so that it can end them. */
export class OpenCalls {
  readonly #streams = new Set<AbortController>();
  readonly #others = new Set<AbortController>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Ends the response streams, which would otherwise go on for ever. */
  abortStreams(reason: CodedError): void {
    for (const controller of [...this.#streams]) controller.abort(reason);
  }

  /** Tells all handlers still at work to give up. */
  abortAll(reason: CodedError): void {
    this.abortStreams(reason);
    for (const controller of [...this.#others]) controller.abort(reason);
  }

  /** The handlers of `service` as the gRPC library takes them. */
  implement(service: RpcService): grpc.UntypedServiceImplementation {
    return Object.fromEntries(service.methods.map((method) => [
      method.definition.path,
      method.definition.responseStream
        ? (call: StreamCall) => void this.#answerStream(method, call)
        : (call: UnaryCall, done: grpc.sendUnaryData<unknown>) =>
          void this.#answerOne(method, { call, done }),
    ]));
  }

  async #answerOne(
    method: RpcMethod,
    { call, done }: { call: UnaryCall; done: grpc.sendUnaryData<unknown> },
  ): Promise<void> {
    using open = openCall(call, this.#others);
    try {
      done(null, await method.handle(requestOf(call), contextOf(call, open.signal)));
    } catch (error) {
      done(this.#toStatus(error, { method, signal: open.signal }));
    }
  }

  async #answerStream(method: RpcMethod, call: StreamCall): Promise<void> {
    using open = openCall(call, this.#streams);
    const { signal } = open;
    // A handler that takes a stream too ends its answers itself when the server stops: others may be waiting for them.
    const until = method.definition.requestStream ? goneSignal(call) : signal;
    let iterator: AsyncIterator<unknown> | undefined;
    try {
      const items = method.handle(requestOf(call), contextOf(call, signal)) as AsyncIterable<unknown>;
      iterator = items[Symbol.asyncIterator]();
      let next = iterator.next();
      call.sendMetadata(new grpc.Metadata()); // tells the caller that it is subscribed, before the first item
      while (true) {
        const result = await abortable(next, until);
        if (result.done) break;
        await abortable(written(call, result.value), until);
        next = iterator.next();
      }
      call.end();
    } catch (error) {
      const status = this.#toStatus(error, { method, signal });
      // Not waited for: return() of a generator lasts as long as what it is awaiting.
      iterator?.return?.().catch((cause: unknown) => this.#logUnknown(cause, method));
      if (!call.cancelled) call.emit("error", status);
    }
  }

  #toStatus(
    error: unknown,
    { method, signal }: { method: RpcMethod; signal: AbortSignal },
  ): grpc.ServerErrorResponse {
    const thrown = signal.aborted ? signal.reason : error;
    const { code, details } = toCallStatus(thrown);
    if (code === GRPC_STATUS.internal) this.#logUnknown(error, method);
    const metadata = toErrorInfo(thrown, { code, details });
    return Object.assign(new Error(details), { code, details, ...(metadata && { metadata }) });
  }

  #logUnknown(error: unknown, method: RpcMethod): void {
    this.#logger.error("gRPC call failed", { method: method.definition.path, error });
  }
}

/** How a call that failed with `error` is answered: the gRPC status number and its text, short enough to be sent. */
export function toCallStatus(error: unknown): { code: number; details: string } {
  const { code, message } = toCodedError(error);
  // A header cannot carry half a character pair, and encoding one would throw inside the library.
  return { code: GRPC_STATUS[code], details: message.slice(0, MAX_MESSAGE_CHARS).toWellFormed() };
}

/** The cause of an error whose details name `reason` and `domain`, as `google.rpc.ErrorInfo` in its trailers. */
function toErrorInfo(
  thrown: unknown,
  { code, details: message }: { code: number; details: string },
): grpc.Metadata | undefined {
  if (!(thrown instanceof CodedError)) return undefined;
  const { reason, domain } = thrown.details;
  if (reason === undefined || domain === undefined) return undefined;
  const info = create(ErrorInfoSchema, { reason, domain });
  const status = create(StatusSchema, { code, message, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return metadata;
}

/** Registers the call until disposed; its signal fires when the caller is gone. */
function openCall(
  call: EventEmitter & { readonly cancelled: boolean },
  calls: Set<AbortController>,
): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const onCancelled = () => controller.abort(new CodedError("cancelled", "The call was cancelled"));
  calls.add(controller);
  call.once("cancelled", onCancelled);
  if (call.cancelled) onCancelled();
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      calls.delete(controller);
      call.off("cancelled", onCancelled); // the library also emits it after an ordinary end
    },
  };
}

/** Fires when the caller is gone, for whatever reason. */
function goneSignal(call: EventEmitter & { readonly cancelled: boolean }): AbortSignal {
  const controller = new AbortController();
  const onCancelled = () => controller.abort(new CodedError("cancelled", "The call was cancelled"));
  call.once("cancelled", onCancelled);
  if (call.cancelled) onCancelled();
  return controller.signal;
}

function requestOf(call: UnaryCall | StreamCall): unknown {
  if ("request" in call) return call.request;
  // An iterator that ends would destroy a stream that is still to be answered.
  return "write" in call ? call.iterator({ destroyOnReturn: false }) : call;
}

function contextOf(call: UnaryCall | StreamCall, signal: AbortSignal): RpcContext {
  const metadata = new Map<string, string>();
  let bytes = 0;
  for (const [key, value] of Object.entries(call.metadata.getMap())) {
    bytes += key.length + value.length;
    if (typeof value === "string") metadata.set(key, value);
  }
  if (bytes > MAX_METADATA_BYTES) {
    throw new CodedError(
      "resource_exhausted",
      `Call headers are ${bytes} bytes, at most ${MAX_METADATA_BYTES} are taken`,
    );
  }
  const peer = call.getPeer();
  return { signal, metadata, peer: peer === "unknown" ? "unix" : peer };
}

/** Resolves when the peer had room for `message`; never, when the call ends before. */
function written(call: StreamCall, message: unknown): Promise<void> {
  return new Promise((resolve) => call.write(message, () => resolve()));
}
