import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { connectChanges } from "./connect_changes.ts";
import { type McpService, STDIO_CALLER } from "./service.ts";
import { toListenRequest, Watches } from "./watches.ts";

/** Longest message of a client, in bytes; a client that sends a longer one is given up. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** The streams of a client that has started this process. */
export interface StdioStreams {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * Serves the client behind `streams`, in both revisions, until it closes its end or `signal` fires. What it sends that is no
 * message is logged and left out.
 */
export async function serveMcpStdio(
  { service, streams, logger }: { service: McpService; streams: StdioStreams; logger: Logger },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const caller = { name: STDIO_CALLER };
  const transport = new ObservedTransport(
    new StdioServerTransport(streams.input, streams.output, { maxBufferSize: MAX_MESSAGE_BYTES }),
    new ListenWatches(new Watches(service, caller), logger),
  );
  const handle = serveStdio(({ era }) => {
    const server = service.createServer(caller);
    connectChanges(server, service, {
      watches: new Watches(service, caller),
      isLegacy: era === "legacy",
    });
    return server;
  }, { transport, onerror: (error) => logger.warn("MCP client", { error }) });
  const onAbort = () => void handle.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  await transport.closed;
  signal.removeEventListener("abort", onAbort);
  await handle.close();
}

/** What the `subscriptions/listen` requests of a connection watch. */
class ListenWatches implements Disposable {
  readonly #watches: Watches;
  readonly #logger: Logger;
  readonly #urisByRequest = new Map<string | number, readonly string[]>();

  constructor(watches: Watches, logger: Logger) {
    this.#watches = watches;
    this.#logger = logger;
  }

  observe(message: JSONRPCMessage): void {
    const listen = toListenRequest(message);
    try {
      if (listen !== undefined) this.#begin(listen.id, listen.uris);
    } catch (error) {
      this.#logger.warn("MCP client", { error: toCodedError(error) });
    }
    if (!("method" in message) || message.method !== "notifications/cancelled") return;
    const { requestId } = message.params as { requestId?: string | number };
    if (requestId !== undefined) this.#end(requestId);
  }

  [Symbol.dispose](): void {
    this.#watches[Symbol.dispose]();
  }

  #begin(id: string | number, uris: readonly string[]): void {
    this.#urisByRequest.set(id, uris);
    for (const uri of uris) this.#watches.add(uri);
  }

  #end(id: string | number): void {
    const uris = this.#urisByRequest.get(id) ?? [];
    this.#urisByRequest.delete(id);
    const others = [...this.#urisByRequest.values()].flat();
    for (const uri of uris) if (!others.includes(uri)) this.#watches.remove(uri);
  }
}

/** A transport that shows what it receives, and tells its end. */
class ObservedTransport implements Transport {
  readonly #inner: Transport;
  readonly #listens: ListenWatches;
  readonly #ended = Promise.withResolvers<void>();
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport["onmessage"]>;

  constructor(inner: Transport, listens: ListenWatches) {
    this.#inner = inner;
    this.#listens = listens;
  }

  /** Resolves when the client has gone, or the connection was closed. */
  get closed(): Promise<void> {
    return this.#ended.promise;
  }

  async start(): Promise<void> {
    this.#inner.onmessage = (message, extra) => {
      this.#listens.observe(message);
      this.onmessage?.(message, extra);
    };
    this.#inner.onerror = (error) => this.onerror?.(error);
    this.#inner.onclose = () => {
      this.#listens[Symbol.dispose]();
      this.onclose?.();
      this.#ended.resolve();
    };
    await this.#inner.start();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    await this.#inner.send(message);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }
}
