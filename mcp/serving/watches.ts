import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { CodedError } from "../../core/errors.ts";
import type { McpCaller, McpService } from "./service.ts";

/** Most resources that one client watches at once. */
const MAX_WATCHED = 128;

/** The resources that one client watches. Disposing it ends all watches. */
export class Watches implements Disposable {
  readonly #service: McpService;
  readonly #caller: McpCaller;
  readonly #watched = new Map<string, Disposable | undefined>();

  constructor(service: McpService, caller: McpCaller) {
    this.#service = service;
    this.#caller = caller;
  }

  /** Whether the client wants to know of changes of `uri`. */
  has(uri: string): boolean {
    return this.#watched.has(uri);
  }

  /** @throws CodedError `resource_exhausted`. */
  add(uri: string): void {
    if (this.#watched.has(uri)) return;
    if (this.#watched.size >= MAX_WATCHED) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot watch ${uri}: ${MAX_WATCHED} resources are watched already, unsubscribe from some first`,
      );
    }
    this.#watched.set(uri, this.#service.watch?.(uri, this.#caller));
  }

  /** Nothing happens for one that is not watched. */
  remove(uri: string): void {
    this.#watched.get(uri)?.[Symbol.dispose]();
    this.#watched.delete(uri);
  }

  [Symbol.dispose](): void {
    for (const uri of [...this.#watched.keys()]) this.remove(uri);
  }
}

/** A `subscriptions/listen` request of revision 2026-07-28 and the resources it names; undefined for any other message. */
export function toListenRequest(
  message: JSONRPCMessage,
): { id: string | number; uris: readonly string[] } | undefined {
  if (!("method" in message && "id" in message) || message.method !== "subscriptions/listen") {
    return undefined;
  }
  const notifications =
    (message.params as { notifications?: { resourceSubscriptions?: unknown } } | undefined)
      ?.notifications;
  const uris = notifications?.resourceSubscriptions;
  if (!Array.isArray(uris)) return undefined;
  const named = uris.filter((uri) => typeof uri === "string");
  return { id: message.id, uris: named.slice(0, MAX_WATCHED) };
}
