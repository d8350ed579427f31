import { MAX_TIMER_MS } from "../../core/clock.ts";
import { AgentAnycastError } from "../errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { JsonObject } from "../model.ts";
import { type CatalogEntry, fromCatalogEntry, readEntry } from "./ai_catalog.ts";
import type { CompatCard } from "./card_v1.ts";
import type { DirectoryAgent, DirectoryQuery, DirectorySetup, DirectoryWire } from "./directory_model.ts";
import { asList, asObject, asText, defined, isObject, textOrNothing } from "./json.ts";

const MAX_PAGE = 100;

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

/** A directory of AGNTCY over REST, which can only be read. */
export class DirectoryRest implements DirectoryWire {
  readonly #base: string;
  readonly #setup: DirectorySetup;

  constructor(setup: DirectorySetup) {
    this.#base = `${setup.url.origin}${setup.url.pathname.replace(/\/+$/, "")}`;
    this.#setup = setup;
  }

  async *list(query: DirectoryQuery, limit: number): AsyncGenerator<DirectoryAgent, void, void> {
    if (this.#setup.dialect !== "legacy") return yield* this.#pages(query, limit);
    const params = { q: query.text ?? "", limit: String(limit) };
    const answer = await this.#ask("/api/v1/agents/search", params, query.signal);
    const agents = understood(() => asList(answer.agents, "agents").map(fromLegacyAgent));
    yield* agents.slice(0, limit);
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

  async get(id: string, signal?: AbortSignal): Promise<DirectoryAgent | undefined> {
    const isLegacy = this.#setup.dialect === "legacy";
    const path = `${isLegacy ? "/api" : ""}/v1/agents/${pathSegment(id)}`;
    const answer = await this.#askOrNothing(path, signal);
    if (answer === undefined) return undefined;
    return understood(() => isLegacy ? fromLegacyAgent(answer, id) : { ...fromEntry(answer), id });
  }

  async record(cid: string, signal?: AbortSignal): Promise<JsonObject | undefined> {
    if (this.#setup.dialect === "legacy") {
      throw new AgentAnycastError(
        "unimplemented",
        "Cannot read a record: this dialect of directories has none; use the dialect v1",
      );
    }
    return await this.#askOrNothing(`/v1/agents/${pathSegment(cid)}/export`, signal);
  }

  [Symbol.dispose](): void {
    // Nothing is kept open between requests.
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
    const { timeoutMs, headers, maxBytes, fetch: ask } = this.#setup;
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(params)) if (value !== "") url.searchParams.set(name, value);
    const given = await headers();
    const deadline = AbortSignal.timeout(Math.min(timeoutMs, MAX_TIMER_MS));
    const ends = AbortSignal.any([deadline, ...signal === undefined ? [] : [signal]]);
    try {
      ends.throwIfAborted();
      const response = await ask(url, {
        headers: { accept: "application/json", ...given },
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
