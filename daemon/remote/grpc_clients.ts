import { CodedError } from "../../core/errors.ts";
import type { SafeFetch } from "../../http/mod.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";

/** Connections that are kept; the one asked for longest ago is closed first. */
const MAX_CLIENTS = 64;

/** A gRPC server that may be called, and what goes with each call. */
export interface GrpcTarget {
  readonly client: RpcClient;
  readonly headers: Readonly<Record<string, string>>;
}

/** Connections to gRPC servers behind URLs: to addresses that were checked, with the credentials of their origin. */
export class GrpcClients implements Disposable {
  readonly #safeFetch: SafeFetch;
  readonly #clients = new Map<string, RpcClient>();

  constructor(safeFetch: SafeFetch) {
    this.#safeFetch = safeFetch;
  }

  /** The client for `url`, whose scheme says whether it is spoken to over TLS. Throws as a {@link SafeFetch}. */
  async open(url: URL): Promise<GrpcTarget> {
    const { addresses: [address], headers, tls } = await this.#safeFetch.reach(url);
    if (address === undefined) throw new CodedError("unavailable", `${url.host} has no address`);
    const secure = url.protocol === "https:";
    const port = url.port || (secure ? "443" : "80");
    const at = `${secure ? "tls" : "tcp"}://${address.includes(":") ? `[${address}]` : address}:${port}`;
    const key = `${at} ${url.hostname}`;
    const client = this.#clients.get(key) ?? createRpcClient(at, { ca: tls?.ca, servername: url.hostname });
    this.#clients.delete(key);
    this.#clients.set(key, client);
    for (const [oldest, one] of this.#clients) {
      if (this.#clients.size <= MAX_CLIENTS) break;
      this.#clients.delete(oldest);
      one[Symbol.dispose]();
    }
    return { client, headers: { ...headers, ":authority": url.host } };
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
    this.#clients.clear();
  }
}
