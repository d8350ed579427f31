import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { abortable } from "../core/abortable.ts";
import { startTimer, systemClock } from "../core/clock.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { RpcCallOptions, RpcClient } from "./rpc_client.ts";
import type { RpcContext, RpcMethod, RpcService } from "./rpc_service.ts";

/** What a local client works with. */
export interface LocalClientDeps {
  readonly services: readonly RpcService[];
  /** Told of failures that are nobody's fault but the service's; the caller gets `internal`. */
  readonly logger: Logger;
}

/** What the services are told about who calls them. */
const LOCAL_PEER = "local";
/** Why a call ends that its caller needs no more; kept, for most streams end so and errors are dear. */
const LEFT = new CodedError("cancelled", "The call was left");

/**
 * A client of services in the same process: their handlers are called without a socket and without encoding anything. Caller
 * and service share no objects all the same, so that neither can change what the other holds. Once it is disposed, calls
 * under way and later ones throw `failed_precondition`: nobody can come back there.
 */
export function createLocalClient({ services, logger }: LocalClientDeps): RpcClient {
  const methods = new Map(
    services.flatMap((service) => service.methods.map((method) => [method.definition.path, method] as const)),
  );
  const calls = new LocalCalls(logger);
  const find = (method: DescMethod): LocalMethod => {
    const path = `/${method.parent.typeName}/${method.name}`;
    const found = methods.get(path);
    if (found !== undefined) {
      return {
        ...found,
        answer: (init) => detached(create(method.output, init as never)),
      };
    }
    throw new CodedError("unimplemented", `${path} is not served here`);
  };
  return {
    unary: <M extends DescMethodUnary>(
      method: M,
      request: MessageInitShape<M["input"]>,
      options: RpcCallOptions = {},
    ) =>
      calls.answer<MessageShape<M["output"]>>(find(method), { request: toRequest(method, request), options }),
    stream: <M extends DescMethodServerStreaming>(
      method: M,
      request: MessageInitShape<M["input"]>,
      options: RpcCallOptions = {},
    ) =>
      calls.stream<MessageShape<M["output"]>>(find(method), { request: toRequest(method, request), options }),
    upload: async <M extends DescMethodClientStreaming>(
      method: M,
      requests: AsyncIterable<MessageInitShape<M["input"]>>,
      options: RpcCallOptions = {},
    ) => {
      const source = new Upload(requests, (request) => toRequest(method, request));
      return await calls.upload<MessageShape<M["output"]>>(find(method), { request: source, options });
    },
    exchange: <M extends DescMethodBiDiStreaming>(
      method: M,
      requests: AsyncIterable<MessageInitShape<M["input"]>>,
      options: RpcCallOptions = {},
    ) => {
      const source = new Upload(requests, (request) => toRequest(method, request));
      return calls.exchange<MessageShape<M["output"]>>(find(method), { request: source, options });
    },
    [Symbol.dispose]: () => calls.close(),
  };
}

function toRequest<M extends DescMethod>(method: M, request: MessageInitShape<M["input"]>): unknown {
  return detached(create(method.input, request));
}

/** A method, and how what its handler answers becomes the caller's message. */
interface LocalMethod extends RpcMethod {
  readonly answer: (init: unknown) => unknown;
}

interface LocalCall<R> {
  readonly request: R;
  readonly options: RpcCallOptions;
}

/** The calls under way. */
class LocalCalls {
  readonly #open = new Set<AbortController>();
  readonly #logger: Logger;
  #end: CodedError | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  close(): void {
    this.#end ??= new CodedError("failed_precondition", "The node was stopped");
    for (const call of [...this.#open]) call.abort(this.#end);
  }

  async answer<T>(method: LocalMethod, { request, options }: LocalCall<unknown>): Promise<T> {
    using call = this.#begin(options);
    try {
      call.signal.throwIfAborted();
      return method.answer(await abortable(method.handle(request, call) as Promise<T>, call.signal)) as T;
    } catch (error) {
      throw this.#explain(error, { method, call });
    }
  }

  async upload<T>(method: LocalMethod, { request: source, options }: LocalCall<Upload>): Promise<T> {
    try {
      return await this.answer<T>(method, { request: source, options });
    } catch (error) {
      throw source.failure === undefined ? error : source.failure.error;
    } finally {
      source.leave();
    }
  }

  async *exchange<T>(
    method: LocalMethod,
    { request: source, options }: LocalCall<Upload>,
  ): AsyncGenerator<T> {
    try {
      yield* this.stream<T>(method, { request: source, options });
    } catch (error) {
      throw source.failure === undefined ? error : source.failure.error;
    } finally {
      source.leave();
    }
  }

  async *stream<T>(method: LocalMethod, { request, options }: LocalCall<unknown>): AsyncGenerator<T> {
    using call = this.#begin(options);
    let iterator: AsyncIterator<T> | undefined;
    try {
      call.signal.throwIfAborted();
      iterator = (method.handle(request, call) as AsyncIterable<T>)[Symbol.asyncIterator]();
      while (true) {
        const result = await abortable(iterator.next(), call.signal);
        if (result.done) {
          iterator = undefined;
          return;
        }
        yield method.answer(result.value) as T;
      }
    } catch (error) {
      throw this.#explain(error, { method, call });
    } finally {
      call.leave();
      // Not waited for: return() of a generator lasts as long as what it is awaiting.
      iterator?.return?.().catch((error: unknown) => this.#logUnknown(error, method));
    }
  }

  #begin({ signal, timeoutMs, headers = {} }: RpcCallOptions): RpcContext & Disposable & { leave(): void } {
    const controller = new AbortController();
    const onAbort = () =>
      controller.abort(new CodedError("cancelled", "The call was cancelled", { cause: signal?.reason }));
    const expire = () =>
      controller.abort(new CodedError("deadline_exceeded", `No answer within ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : startTimer(systemClock, timeoutMs, expire);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#open.add(controller);
    if (this.#end !== undefined) controller.abort(this.#end);
    else if (signal?.aborted) onAbort();
    return {
      signal: controller.signal,
      metadata: new Map(Object.entries(headers)),
      peer: LOCAL_PEER,
      leave: () => controller.abort(LEFT),
      [Symbol.dispose]: () => {
        timer?.[Symbol.dispose]();
        signal?.removeEventListener("abort", onAbort);
        this.#open.delete(controller);
      },
    };
  }

  /** What the caller gets: why the call was ended when it was, else the error of the service. */
  #explain(error: unknown, { method, call }: { method: RpcMethod; call: RpcContext }): CodedError {
    if (call.signal.aborted) return toCodedError(call.signal.reason);
    this.#logUnknown(error, method);
    return toCodedError(error);
  }

  #logUnknown(error: unknown, method: RpcMethod): void {
    if (toCodedError(error).code !== "internal") return;
    this.#logger.error("A call failed", { method: method.definition.path, error });
  }
}

/** The requests of an upload, as its handler takes them; remembers why they broke off. */
class Upload implements AsyncIterable<unknown> {
  failure: { readonly error: unknown } | undefined;
  readonly #iterator: AsyncIterator<unknown>;
  readonly #map: (request: never) => unknown;
  #over = false;

  constructor(requests: AsyncIterable<unknown>, map: (request: never) => unknown) {
    this.#iterator = requests[Symbol.asyncIterator]();
    this.#map = map;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return {
      next: async () => {
        try {
          const result = await this.#iterator.next();
          if (!result.done) return { done: false, value: this.#map(result.value as never) };
          this.#over = true;
          return { done: true, value: undefined };
        } catch (error) {
          this.#over = true;
          this.failure = { error };
          throw new CodedError("cancelled", "The call was cancelled", { cause: error });
        }
      },
      return: () => {
        this.leave();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Nobody takes any more. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    // Not waited for: return() of a generator lasts as long as what it is awaiting.
    this.#iterator.return?.().catch(() => {/* nobody asks any more */});
  }
}

/** A copy of a message that shares nothing with it that can be changed. */
function detached<T>(value: T): T;
function detached(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => detached(item));
  if (value instanceof Uint8Array) return new Uint8Array(value); // slice() of a Buffer would be no copy
  const prototype = Object.getPrototypeOf(value);
  const copy: Record<string, unknown> = prototype === Object.prototype ? {} : Object.create(prototype);
  for (const key of Object.keys(value)) copy[key] = detached((value as Record<string, unknown>)[key]);
  return copy;
}
