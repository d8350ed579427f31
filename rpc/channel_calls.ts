import { CodedError, toCodedError } from "../core/errors.ts";
import { CallStream } from "./call_stream.ts";
import type { Duplex, DuplexEvents, OpenDuplex } from "./rpc_duplex.ts";
import type { RpcClient } from "./rpc_client.ts";
import type { RpcContext, RpcService } from "./rpc_service.ts";

/** Messages both ways between two programs, in order; a channel of the p2p room is one. */
export interface MessageChannel {
  /** Resolves when the next one may be sent. */
  send(message: Uint8Array): Promise<void>;
  /** What the other side sends, for one reader. */
  frames(): AsyncIterable<Uint8Array>;
  /** Ends our side. */
  close(): Promise<void>;
  /** Gives it up at once. */
  abort(reason: Error): void;
}

/** The calls that a channel can carry. */
export type CallsClient = Pick<RpcClient, "unary" | "stream"> & Disposable;

/**
 * Makes calls over a channel whose other side runs {@link serveCalls}. `open` is called by the first call, and again by the
 * first one after the channel was lost. A call throws what `open` throws, and as those of an `RpcClient`.
 */
export function createChannelClient(open: (signal: AbortSignal) => Promise<MessageChannel>): CallsClient {
  const openDuplex: OpenDuplex = async (events, signal) => attach(await open(signal), events, signal);
  let current = new CallStream(openDuplex);
  let closed = false;
  const calls = () => current.ended && !closed ? current = new CallStream(openDuplex) : current;
  return {
    unary: (method, request, options) => calls().unary(method, request, options),
    stream: (method, request, options) => calls().stream(method, request, options),
    [Symbol.dispose]: () => {
      closed = true;
      current[Symbol.dispose]();
    },
  };
}

function attach(channel: MessageChannel, events: DuplexEvents, signal: AbortSignal): Duplex {
  let ended = false;
  const end = (error?: CodedError) => {
    if (ended) return;
    ended = true;
    events.end(error);
  };
  const cut = () => {
    ended = true;
    channel.abort(toCodedError(signal.reason));
  };
  signal.addEventListener("abort", cut, { once: true });
  if (signal.aborted) cut();
  void read(channel, events).then(() => end(), (error) => end(toCodedError(error)));
  return {
    send(message) {
      if (ended) return true;
      channel.send(message).then(() => {
        if (!ended) events.drain();
      }, (error) => end(toCodedError(error)));
      return false; // the next one waits for `drain`
    },
  };
}

async function read(channel: MessageChannel, events: DuplexEvents): Promise<void> {
  for await (const message of channel.frames()) events.message(message);
}

/** How the calls of a channel are served. */
export interface ServeCallsOptions {
  /** Proven id of the peer at the other end. */
  readonly peerId: string;
  /** Longest message taken. */
  readonly maxMessageBytes: number;
  /** Ends the calls: open ones are answered first. */
  readonly signal: AbortSignal;
}

/**
 * Answers the calls that come on `channel` by `service`, which is that of `createCallService`, until the other side ends it.
 * Throws `resource_exhausted` for a message that is too long, and what the channel throws.
 */
export async function serveCalls(
  channel: MessageChannel,
  service: RpcService,
  options: ServeCallsOptions,
): Promise<void> {
  const [method] = service.methods;
  if (method === undefined) throw new TypeError("The service has no method to carry calls");
  const { peerId, signal } = options;
  const context: RpcContext = { signal, peer: peerId, peerId, metadata: new Map() };
  const requests = decoded(channel, (bytes) => method.definition.requestDeserialize(bytes), options);
  for await (const response of method.handle(requests, context) as AsyncIterable<unknown>) {
    await channel.send(method.definition.responseSerialize(response));
  }
}

async function* decoded(
  channel: MessageChannel,
  decode: (bytes: Uint8Array) => unknown,
  { maxMessageBytes }: ServeCallsOptions,
): AsyncGenerator<unknown> {
  for await (const bytes of channel.frames()) {
    if (bytes.length > maxMessageBytes) {
      throw new CodedError(
        "resource_exhausted",
        `A message has ${bytes.length} bytes, at most ${maxMessageBytes} are taken here`,
      );
    }
    yield decode(bytes);
  }
}
