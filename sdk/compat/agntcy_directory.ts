import { errorMessage } from "../../core/errors.ts";
import { AgentAnycastError } from "../errors.ts";
import type { JsonObject } from "../model.ts";
import type {
  AgntcyDirectoryOptions,
  DirectoryAgent,
  DirectoryDialect,
  DirectoryQuery,
  DirectorySetup,
  DirectoryWire,
  DirectoryWriter,
} from "./directory_model.ts";
import { DirectoryRest } from "./directory_rest.ts";

const DEFAULT_LIMIT = 100;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** How one call is made. */
export interface DirectoryCallOptions {
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/**
 * A directory of AGNTCY: found in by REST or gRPC, published to by gRPC.
 *
 * ```ts ignore
 * using directory = new AgntcyDirectory("grpcs://directory.example.com:443", { token });
 * const cid = await directory.publish(toOasfRecord(card, { authors: ["Example"], skills }));
 * for (const agent of await directory.search("plan")) console.log(agent.id, agent.card?.peerId);
 * ```
 *
 * What it throws is an `AgentAnycastError`: `unavailable`, `deadline_exceeded`, `cancelled`, `resource_exhausted` for an answer
 * that is too long, `data_loss` for one that cannot be understood, `unimplemented` for what its dialect cannot do, or what the
 * directory's own status means. A call that was not answered may be made again: the same record is the same CID.
 */
export class AgntcyDirectory implements Disposable {
  readonly #setup: DirectorySetup;
  #wire: Promise<DirectoryWire> | undefined;
  #closed = false;

  /**
   * `url`: such as `https://directory.example.com`, `grpcs://directory.example.com:443` or, without TLS,
   * `grpc://127.0.0.1:8888`. Throws `TypeError` for what is no such URL.
   */
  constructor(url: string, options: AgntcyDirectoryOptions = {}) {
    this.#setup = toSetup(url, options);
  }

  /** The agents that match, page by page as far as they are taken, at most `limit`. */
  async *list(query: DirectoryQuery = {}): AsyncGenerator<DirectoryAgent, void, void> {
    const { limit = DEFAULT_LIMIT } = query;
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new RangeError(`limit must be a whole number above 0: ${limit}`);
    }
    yield* (await this.#open()).list(query, limit);
  }

  /** The agents that match, in one list. */
  async search(text: string, options: Omit<DirectoryQuery, "text"> = {}): Promise<DirectoryAgent[]> {
    const found: DirectoryAgent[] = []; // Node 20 has no Array.fromAsync()
    for await (const agent of this.list({ ...options, text })) found.push(agent);
    return found;
  }

  /** An agent by its id (but in the dialect `legacy`, the CID of its record); undefined when the directory has none. */
  async get(id: string, { signal }: DirectoryCallOptions = {}): Promise<DirectoryAgent | undefined> {
    return await (await this.#open()).get(id, signal);
  }

  /** The record of OASF of an agent, by its CID; undefined when there is none. Throws `unimplemented` in the dialect `legacy`. */
  async record(cid: string, { signal }: DirectoryCallOptions = {}): Promise<JsonObject | undefined> {
    return await (await this.#open()).record(cid, signal);
  }

  /** Keeps a record of OASF in the directory without telling the network of it; answers its CID. Only in the dialect `grpc`. */
  async push(record: JsonObject, { signal }: DirectoryCallOptions = {}): Promise<string> {
    return await (await this.#writer()).push(record, signal);
  }

  /**
   * Keeps a record of OASF in the directory and has it tell the network of directories; answers its CID. When only the telling
   * fails, the record is kept, and the error has its CID in `details.cid`. Only in the dialect `grpc`.
   */
  async publish(record: JsonObject, { signal }: DirectoryCallOptions = {}): Promise<string> {
    const writer = await this.#writer();
    const cid = await writer.push(record, signal);
    try {
      await writer.announce(cid, signal);
    } catch (error) {
      if (!(error instanceof AgentAnycastError)) throw error;
      throw new AgentAnycastError(error.code, `${error.message}; the record is kept as ${cid}`, {
        cause: error,
        details: { cid },
      });
    }
    return cid;
  }

  /** Has the directory no longer tell the network of a record, which it keeps. Only in the dialect `grpc`. */
  async unpublish(cid: string, { signal }: DirectoryCallOptions = {}): Promise<void> {
    await (await this.#writer()).withdraw(cid, signal);
  }

  /** Takes a record out of the directory. Only in the dialect `grpc`. */
  async delete(cid: string, { signal }: DirectoryCallOptions = {}): Promise<void> {
    await (await this.#writer()).remove(cid, signal);
  }

  /** Closes the connection of the dialect `grpc`; calls that run end with `unavailable`. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#wire?.then((wire) => wire[Symbol.dispose](), () => {/* told to whoever called */});
  }

  async #writer(): Promise<DirectoryWriter> {
    const { write } = await this.#open();
    if (write !== undefined) return write;
    throw new AgentAnycastError(
      "unimplemented",
      `Cannot change the directory at ${this.#setup.url.origin}: it can only be read over REST; use its gRPC services, with a URL that begins with grpcs:`,
    );
  }

  #open(): Promise<DirectoryWire> {
    if (this.#closed) {
      return Promise.reject(
        new AgentAnycastError("unavailable", "Cannot ask the directory: it has been closed; make another"),
      );
    }
    return this.#wire ??= openWire(this.#setup);
  }
}

async function openWire(setup: DirectorySetup): Promise<DirectoryWire> {
  if (setup.dialect !== "grpc") return new DirectoryRest(setup);
  // Only who needs it loads what speaks gRPC.
  const { DirectoryGrpc } = await import("./directory_grpc.ts");
  return new DirectoryGrpc(setup);
}

function toSetup(text: string, options: AgntcyDirectoryOptions): DirectorySetup {
  const url = URL.parse(text);
  const isGrpc = /^grpcs?:$/.test(url?.protocol ?? "");
  if (url === null || url.hostname === "" || !(isGrpc || /^https?:$/.test(url.protocol))) {
    throw new TypeError(`Not a URL of a directory: ${text}`);
  }
  const dialect: DirectoryDialect = options.dialect ?? (isGrpc ? "grpc" : "v1");
  if (isGrpc !== (dialect === "grpc")) {
    throw new TypeError(`The dialect ${dialect} is not spoken at ${url.protocol}`);
  }
  const { token, tls, timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = DEFAULT_MAX_BYTES } = options;
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0: ${timeoutMs}`);
  if (!(maxBytes > 0)) throw new RangeError(`maxBytes must be above 0: ${maxBytes}`);
  const isSecure = url.protocol === "https:" || url.protocol === "grpcs:";
  if (token !== undefined && !isSecure && !LOOPBACK.test(url.hostname)) {
    throw new TypeError(`A token does not go to ${url.hostname} without TLS: use https: or grpcs:`);
  }
  if (tls !== undefined && url.protocol !== "grpcs:") {
    throw new TypeError("tls is for a URL that begins with grpcs:");
  }
  return {
    ...{ url, dialect, timeoutMs, maxBytes, tls: tls ?? {}, fetch: options.fetch ?? fetch },
    headers: async () => ({
      ...options.headers,
      ...token !== undefined && { authorization: `Bearer ${await toToken(token)}` },
    }),
  };
}

async function toToken(token: Required<AgntcyDirectoryOptions>["token"]): Promise<string> {
  if (typeof token === "string") return token;
  try {
    return await token();
  } catch (cause) {
    throw new AgentAnycastError(
      "unauthenticated",
      `Cannot ask the directory: there is no token (${
        errorMessage(cause)
      }); see the function that was given for it`,
      { cause },
    );
  }
}
