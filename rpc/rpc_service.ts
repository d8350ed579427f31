/**
 * gRPC services as plain typed functions, with the gRPC library out of sight.
 *
 * ```ts
 * const service = createRpcService(NodeService, {
 *   getTask: async (request, context) => ({ task: await engine.get(request.taskId) }),        // unary: a message or its init
 *   subscribeTaskUpdates: (request, context) => engine.updates(request.taskId, context.signal), // server stream: AsyncIterable
 *   sendStreamingArtifact: async (requests, context) => {                                       // client stream: AsyncIterable in
 *     for await (const { event } of requests) await engine.accept(event);
 *     return {};
 *   },
 * });
 * await using server = await startGrpcServer({ services: [service], logger }, { listen: "unix:///run/a.sock" });
 * ```
 *
 * - Throw a `CodedError` to answer its status and message. Anything else is logged once and answered as `internal`.
 * - `context.signal` fires when the caller cancels or goes away, its deadline passes, or the server stops (streams at once,
 *   other calls after the drain time). It never fires after the call has been answered.
 * - When it fires during a stream, the iterator's `return()` is called and not waited for. A generator that awaits something
 *   long must give `context.signal` to it: `return()` cannot interrupt an `await`.
 * - The next item of a stream is asked for when the peer has room for it.
 */
import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { CodedError, errorMessage } from "../core/errors.ts";
import { type RpcMethodDefinition, toRpcMethodDefinition } from "./method_definition.ts";
import { checkShape, type ShapeLimits } from "./shape.ts";

/** What a handler knows about its call besides the request. */
export interface RpcContext {
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** The text headers of the call, lower case; of a repeated one the first. */
  readonly metadata: ReadonlyMap<string, string>;
  /** `host:port` of the caller, `unix`, or for a call over libp2p the peer's id. */
  readonly peer: string;
  /** The caller's peer id, where the connection has proven it. */
  readonly peerId?: string | undefined;
}

type Input<M extends DescMethod> = MessageShape<M["input"]>;
type Output<M extends DescMethod> = MessageInitShape<M["output"]>;
type Awaitable<T> = T | Promise<T>;

/** The function that answers method `M`. */
export type RpcHandler<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: Input<M>, context: RpcContext) => Awaitable<Output<M>>
  : M["methodKind"] extends "server_streaming"
    ? (request: Input<M>, context: RpcContext) => AsyncIterable<Output<M>>
  : M["methodKind"] extends "client_streaming"
    ? (requests: AsyncIterable<Input<M>>, context: RpcContext) => Awaitable<Output<M>>
  : (requests: AsyncIterable<Input<M>>, context: RpcContext) => AsyncIterable<Output<M>>;

/** A handler for each method of a service. */
export type RpcHandlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: RpcHandler<S["method"][K]>;
};

/** One method as the server runs it: messages are opaque here, `definition` says how they look on the wire. */
export interface RpcMethod {
  readonly definition: RpcMethodDefinition<unknown, unknown>;
  /** Takes the request (or the stream of them), answers the response (or the stream of them). */
  readonly handle: (request: unknown, context: RpcContext) => unknown;
}

/** A service ready to be served. */
export interface RpcService {
  /** Its full name, such as `agentanycast.v1.NodeService`. */
  readonly name: string;
  readonly methods: readonly RpcMethod[];
}

/** How a service is bound. */
export interface RpcServiceOptions {
  /** What decoding a request may cost. Default: no bound but that of the message's bytes. */
  readonly limits?: ShapeLimits;
}

/** Binds `handlers` to the methods of `service`; a method without a handler answers `unimplemented`. */
export function createRpcService<S extends DescService>(
  service: S,
  handlers: Partial<RpcHandlers<S>>,
  { limits }: RpcServiceOptions = {},
): RpcService {
  return {
    name: service.typeName,
    methods: service.methods.map((method) => {
      const handler: unknown = Reflect.get(handlers, method.localName);
      const handle = typeof handler === "function" ? handler.bind(handlers) : refuse(method);
      return toRpcMethod(method, handle, limits);
    }),
  };
}

function refuse(method: DescMethod): RpcMethod["handle"] {
  return () => {
    throw new CodedError("unimplemented", `${method.name} is not available here`);
  };
}

function toRpcMethod(
  method: DescMethod,
  handler: RpcMethod["handle"],
  limits: ShapeLimits | undefined,
): RpcMethod {
  const definition = toRpcMethodDefinition(method) as RpcMethodDefinition<unknown, unknown>;
  const answer = (request: unknown, context: RpcContext) =>
    definition.requestStream
      ? handler(mapItems(request as AsyncIterable<unknown>, readable), context)
      : handler(readable(request), context);
  const handle: RpcMethod["handle"] = definition.responseStream
    ? answer
    : async (request, context) => await answer(request, context);
  const requestDeserialize = (bytes: Uint8Array): unknown => {
    try {
      if (limits !== undefined) checkShape(method.input, bytes, limits);
      return definition.requestDeserialize(bytes);
    } catch (cause) {
      const text = `The ${method.input.name} cannot be read: ${errorMessage(cause)}`;
      return new CodedError("invalid_argument", text, { cause });
    }
  };
  return { definition: { ...definition, requestDeserialize }, handle };
}

/** A request; one that could not be read travels as its error, for the library would hide what it throws itself. */
function readable(request: unknown): unknown {
  if (request instanceof CodedError) throw request;
  return request;
}

/** `source` with each item mapped. Not a generator: `return()` must reach the source while its `next()` is pending. */
function mapItems<T, U>(source: AsyncIterable<T>, map: (item: T) => U): AsyncIterable<U> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      const mapped = (result: IteratorResult<T>): IteratorResult<U> =>
        result.done ? { done: true, value: undefined } : { done: false, value: map(result.value) };
      return {
        next: async () => mapped(await iterator.next()),
        return: async () => {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
