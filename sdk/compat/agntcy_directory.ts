import { AgentAnycastError } from "../errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { JsonObject } from "../model.ts";
import { type CatalogEntry, fromCatalogEntry, readEntry } from "./ai_catalog.ts";
import type { CompatCard } from "./card_v1.ts";
import { asList, asObject, asText, defined, isObject, textOrNothing } from "./json.ts";

/**
 * Which REST interface a directory has: `v1` is that of the Agent Directory of AGNTCY, `legacy` that which the older SDKs of
 * the network expect.
 */
export type DirectoryDialect = "v1" | "legacy";

/** How a directory is asked. */
export interface AgntcyDirectoryOptions {
  /** Default `v1`. */
  readonly dialect?: DirectoryDialect;
  /** Default: the global one. Give one of your own to go through a proxy or to guard where it leads. */
  readonly fetch?: typeof fetch;
  /** Sent with each request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long one answer may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Longest answer that is read, in bytes. Default 4 MiB. */
  readonly maxBytes?: number;
}

/** An agent as a directory has it. */
export interface DirectoryAgent {
  /** What the directory calls it: the CID of its record, where one is told. */
  readonly id: string;
  /** Its name. */
  readonly name: string;
  /** Its card, when the directory gives it. */
  readonly card?: CompatCard;
  /** Its entry, in the dialect `v1`. */
  readonly entry?: CatalogEntry;
  /** Why the card that the directory gives could not be read. */
  readonly cardFault?: AgentAnycastError;
}

/** What is asked of a list. */
export interface DirectoryQuery {
  /** Words to look for, in the dialect `legacy`; a name, in the dialect `v1`. */
  readonly text?: string;
  /** Such as `type=application/a2a-agent-card+json AND publisherId=did:web:example.com`; only in the dialect `v1`. */
  readonly filter?: string;
  /** Such as `updated_at DESC`; only in the dialect `v1`. */
  readonly orderBy?: string;
  /** Most agents to answer. Default 100. */
  readonly limit?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

const MAX_PAGE = 100;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  408: "deadline_exceeded",
  409: "already_exists",
  429: "resource_exhausted",
  501: "unimplemented",
  502: "unavailable",
  503: "unavailable",
  504: "deadline_exceeded",
};

/**
 * A directory of AGNTCY over its REST interface, which can only be read: records are published over its gRPC interface, such as
 * by its tool `dirctl`.
 *
 * What it throws is an `AgentAnycastError`: `unavailable`, `deadline_exceeded`, `cancelled`, `resource_exhausted` for an answer
 * that is too long, `data_loss` for one that cannot be understood, or what the status of the answer means.
 */
export class AgntcyDirectory {
  readonly #base: string;
  readonly #options: Required<AgntcyDirectoryOptions>;

  /** `baseUrl`: such as `https://directory.example.com`. Throws `TypeError` for what is no URL of HTTP. */
  constructor(baseUrl: string, options: AgntcyDirectoryOptions = {}) {
    const url = URL.parse(baseUrl);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new TypeError(`Not a URL of a directory: ${baseUrl}`);
    }
    this.#base = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
    const { timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = DEFAULT_MAX_BYTES } = options;
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0: ${timeoutMs}`);
    if (!(maxBytes > 0)) throw new RangeError(`maxBytes must be above 0: ${maxBytes}`);
    this.#options = { dialect: "v1", fetch, headers: {}, ...options, timeoutMs, maxBytes };
  }

  /** The agents that match, page by page as far as they are taken, at most `limit`. */
  async *list(query: DirectoryQuery = {}): AsyncGenerator<DirectoryAgent, void, void> {
    const { limit = MAX_PAGE } = query;
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new RangeError(`limit must be a whole number above 0: ${limit}`);
    }
    if (this.#options.dialect === "legacy") {
      const params = { q: query.text ?? "", limit: String(limit) };
      const answer = await this.#ask("/api/v1/agents/search", params, query.signal);
      const agents = understood(() => asList(answer.agents, "agents").map(fromLegacyAgent));
      return yield* agents.slice(0, limit);
    }
    yield* this.#pages(query, limit);
  }

  async *#pages(query: DirectoryQuery, limit: number): AsyncGenerator<DirectoryAgent, void, void> {
    const { orderBy = "", text, filter } = query;
    const clauses = [filter, text && `displayName=${JSON.stringify(text)}`].filter((clause) => clause);
    let pageToken = "";
    for (let left = limit; left > 0;) {
      const pageSize = String(Math.min(left, MAX_PAGE));
      const params = { filter: clauses.join(" AND "), orderBy, pageSize, pageToken };
      const answer = await this.#ask("/v1/agents", params, query.signal);
      const agents = understood(() => asList(answer.results, "results").map(fromEntry));
      yield* agents.slice(0, left);
      left -= agents.length;
      const next = textOrNothing(answer.nextPageToken);
      if (next === undefined || left <= 0) return;
      // A server that keeps to the same page, or gives none but empty ones, would never end.
      if (next === pageToken || agents.length === 0) {
        throw new AgentAnycastError(
          "data_loss",
          `Cannot list the agents of ${this.#base}: its pages do not go on`,
        );
      }
      pageToken = next;
    }
  }

  /** The agents that match, in one list. */
  async search(text: string, options: Omit<DirectoryQuery, "text"> = {}): Promise<DirectoryAgent[]> {
    const found: DirectoryAgent[] = [];
    for await (const agent of this.list({ ...options, text })) found.push(agent);
    return found;
  }

  /** An agent by its id (in the dialect `v1`: the CID of its record); undefined when the directory has none. */
  async get(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<DirectoryAgent | undefined> {
    const isLegacy = this.#options.dialect === "legacy";
    const path = `${isLegacy ? "/api" : ""}/v1/agents/${pathSegment(id)}`;
    const answer = await this.#askOrNothing(path, signal);
    if (answer === undefined) return undefined;
    return understood(() => isLegacy ? fromLegacyAgent(answer, id) : { ...fromEntry(answer), id });
  }

  /** The record of OASF of an agent, by its CID; undefined when there is none. Throws `unimplemented` in the dialect `legacy`. */
  async record(cid: string, { signal }: { signal?: AbortSignal } = {}): Promise<JsonObject | undefined> {
    if (this.#options.dialect === "legacy") {
      throw new AgentAnycastError(
        "unimplemented",
        "Cannot read a record: this dialect of directories has none; use the dialect v1",
      );
    }
    return await this.#askOrNothing(`/v1/agents/${pathSegment(cid)}/export`, signal);
  }

  async #askOrNothing(path: string, signal: AbortSignal | undefined): Promise<JsonObject | undefined> {
    try {
      return await this.#ask(path, {}, signal);
    } catch (error) {
      if (error instanceof AgentAnycastError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  async #ask(
    path: string,
    params: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<JsonObject> {
    const { timeoutMs, headers, maxBytes, fetch: ask } = this.#options;
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(params)) if (value !== "") url.searchParams.set(name, value);
    const deadline = AbortSignal.timeout(timeoutMs);
    const ends = AbortSignal.any([deadline, ...signal === undefined ? [] : [signal]]);
    try {
      const response = await ask(url, {
        headers: { accept: "application/json", ...headers },
        signal: ends,
      });
      if (!response.ok) {
        await response.body?.cancel();
        throw refused(url, response.status);
      }
      const text = await readBounded(response, maxBytes);
      return understood(() => asObject(JSON.parse(text), "the answer"));
    } catch (error) {
      if (error instanceof AgentAnycastError) throw error;
      const code = signal?.aborted ? "cancelled" : deadline.aborted ? "deadline_exceeded" : "unavailable";
      throw new AgentAnycastError(
        code,
        `Cannot ask the directory at ${url.origin}: ${reasonOf(code, timeoutMs)}`,
        {
          cause: error,
        },
      );
    }
  }
}

function reasonOf(code: ErrorCode, timeoutMs: number): string {
  if (code === "cancelled") return "the call was called off";
  if (code === "deadline_exceeded") {
    return `it did not answer within ${timeoutMs} ms; try again, or raise timeoutMs`;
  }
  return "it cannot be reached; check the address and the network";
}

function refused(url: URL, status: number): AgentAnycastError {
  const code = CODE_OF_STATUS[status] ?? (status >= 500 ? "unavailable" : "unknown");
  return new AgentAnycastError(
    code,
    `Cannot ask the directory at ${url.origin}: it answered with status ${status} at ${url.pathname}`,
    { details: { status: String(status) } },
  );
}

/** An id as one segment of a path, whatever it contains. */
function pathSegment(id: string): string {
  if (id === "" || id === "." || id === "..") {
    throw new AgentAnycastError(
      "invalid_argument",
      `Cannot look up an agent: ${JSON.stringify(id)} is no id`,
    );
  }
  return encodeURIComponent(id);
}

async function readBounded(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) {
      throw new AgentAnycastError(
        "resource_exhausted",
        `Cannot read the answer of the directory: it is longer than ${maxBytes} bytes; ask for less, or raise maxBytes`,
      );
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).text();
}

/** What `read` gives; what the directory said wrongly is its fault and not the caller's. */
function understood<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new AgentAnycastError("data_loss", `Cannot understand the directory: ${String(cause)}`, { cause });
  }
}

function fromEntry(value: unknown): DirectoryAgent {
  const entry = readEntry(value, 0);
  return defined<DirectoryAgent>({
    id: /:cid:([^:]+)/.exec(entry.identifier)?.[1] ?? entry.identifier,
    name: entry.displayName ?? entry.identifier,
    ...cardOf(entry),
    entry,
  });
}

/** Who publishes a bad card must not make the others unreadable. */
function cardOf(entry: CatalogEntry): Pick<DirectoryAgent, "card" | "cardFault"> {
  try {
    return defined<Pick<DirectoryAgent, "card">>({ card: fromCatalogEntry(entry) });
  } catch (error) {
    if (!(error instanceof AgentAnycastError)) throw error;
    return { cardFault: error };
  }
}

function fromLegacyAgent(value: unknown, asked?: string | number): DirectoryAgent {
  const json = asObject(value, "the agent");
  const name = asText(json.name, "name of the agent");
  const peerId = textOrNothing(json.peer_id);
  return {
    id: textOrNothing(json.id) ?? (typeof asked === "string" ? asked : peerId ?? name),
    name,
    card: defined<CompatCard>({
      name,
      description: textOrNothing(json.description),
      version: textOrNothing(json.version),
      peerId,
      skills: asList(json.capabilities ?? json.skills, "capabilities of the agent").filter(isObject).map((
        one,
      ) => ({
        id: asText(one.id ?? one.name, "id of the skill"),
        ...(typeof one.description === "string" && { description: one.description }),
      })),
    }),
  };
}
