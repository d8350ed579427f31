import type { JsonObject } from "../model.ts";
import { fromA2aCard, toA2aCard, versionOfA2aCard } from "./a2a_card.ts";
import { AgentAnycastError } from "../errors.ts";
import type { CompatCard } from "./card_v1.ts";
import {
  asList,
  asObject,
  asText,
  defined,
  isObject,
  nonEmpty,
  others,
  present,
  textOrNothing,
  textsOrNothing,
  unreadable,
} from "./json.ts";

/** Path of the catalog of a host. */
export const AI_CATALOG_PATH = "/.well-known/ai-catalog.json";
/** What an entry with a card of A2A is. */
export const A2A_CARD_TYPE = "application/a2a-agent-card+json";
/** What an entry with a card of an MCP server is. */
export const MCP_CARD_TYPE = "application/mcp-server-card+json";
const SPEC_VERSION = "1.0";
const CATALOG_TYPE = "application/ai-catalog+json";

/** Something that a catalog offers: where it is (`url`), or the thing itself (`data`). */
export interface CatalogEntry {
  /** Such as `urn:air:example.com:agents:planner`. */
  readonly identifier: string;
  /** Media type of what is offered. */
  readonly type: string;
  /** For people. */
  readonly displayName?: string;
  /** Where it is. */
  readonly url?: string;
  /** The thing itself. */
  readonly data?: JsonObject;
  /** Its version. */
  readonly version?: string;
  /** What it is for. */
  readonly description?: string;
  /** Keywords. */
  readonly tags?: readonly string[];
  /** When it last changed, by RFC 3339. */
  readonly updatedAt?: string;
  /** Other members, such as `publisher` and `trustManifest`. */
  readonly rest?: JsonObject;
}

/** A catalog of AI. */
export interface AiCatalog {
  /** What it offers. */
  readonly entries: readonly CatalogEntry[];
  /** Who runs it; `displayName` is required. */
  readonly host?: JsonObject;
  /** Other members. */
  readonly rest?: JsonObject;
}

/** An entry that breaks the rules of the catalog. */
export interface RejectedEntry {
  /** Its place in the catalog, from 0. */
  readonly index: number;
  /** What is wrong with it. */
  readonly error: AgentAnycastError;
}

const ENTRY_KEYS = [
  ...["identifier", "type", "mediaType", "displayName", "url", "data", "version", "description"],
  ...["tags", "updatedAt"],
];

/**
 * The entry of an agent: with its card in it, or with the URL where the card is. The identifier is by default
 * `urn:air:<peer id>`; throws `AgentAnycastError` with `invalid_argument` for a card without one when none is given.
 */
export function toCatalogEntry(
  card: CompatCard,
  options: { readonly identifier?: string; readonly url?: string } = {},
): CatalogEntry {
  const identifier = options.identifier ?? (card.peerId === undefined ? undefined : `urn:air:${card.peerId}`);
  if (identifier === undefined) {
    throw new AgentAnycastError(
      "invalid_argument",
      "Cannot make a catalog entry: the card has no peer id; give an identifier",
    );
  }
  const { url } = options;
  return defined<CatalogEntry>({
    identifier,
    type: A2A_CARD_TYPE,
    displayName: card.name,
    description: card.description,
    version: card.version,
    url,
    data: url === undefined ? toA2aCard(card) : undefined,
  });
}

/**
 * The card that is in an entry, also in one of a directory of AGNTCY, which has it as a module of OASF or in a catalog of its
 * own; undefined when the entry has it at a URL, or is no agent.
 */
export function fromCatalogEntry({ type, data }: CatalogEntry): CompatCard | undefined {
  if (data === undefined) return undefined;
  if (type === CATALOG_TYPE) {
    const agent = fromAiCatalog(data).entries.find((entry) => entry.type === A2A_CARD_TYPE);
    return agent === undefined ? undefined : fromCatalogEntry(agent);
  }
  if (type !== A2A_CARD_TYPE) return undefined;
  const card = isObject(data.card_data) ? data.card_data : data;
  return fromA2aCard(card, { version: versionOfA2aCard(card) });
}

/** A catalog as JSON. Throws `AgentAnycastError` with `invalid_argument` for entries that break its rules. */
export function toAiCatalog({ entries, host, rest }: AiCatalog): JsonObject {
  const seen = new Set<string>();
  const written = entries.map(({ rest: more, ...entry }, index) => {
    const json = present({ ...entry, ...more });
    readEntry(json, index);
    const key = JSON.stringify([entry.identifier, entry.version ?? null]);
    if (seen.has(key)) {
      throw new AgentAnycastError(
        "invalid_argument",
        `Cannot write the catalog: ${entry.identifier} is in it twice; give each version of it its own \`version\``,
      );
    }
    seen.add(key);
    return json;
  });
  return present({ specVersion: SPEC_VERSION, host, entries: written, ...rest });
}

/**
 * A catalog from JSON. An entry that breaks the rules does not cost the others: it is in `rejected`. Throws
 * `AgentAnycastError`: `invalid_argument` for what is no catalog, `unimplemented` for one of another major version.
 */
export function fromAiCatalog(value: unknown): AiCatalog & { readonly rejected: readonly RejectedEntry[] } {
  const json = asObject(value, "the AI catalog");
  const specVersion = asText(json.specVersion, "specVersion of the AI catalog");
  if (!/^1\.\d+$/.test(specVersion)) {
    throw new AgentAnycastError(
      "unimplemented",
      `Cannot read the AI catalog: it is of version ${specVersion.slice(0, 20)}; only 1.x is known here`,
    );
  }
  if (json.entries === undefined) {
    throw unreadable("the AI catalog", "it has no entries", "give a list, even an empty one");
  }
  const entries: CatalogEntry[] = [];
  const rejected: RejectedEntry[] = [];
  for (const [index, entry] of asList(json.entries, "entries of the AI catalog").entries()) {
    try {
      entries.push(readEntry(entry, index));
    } catch (error) {
      if (!(error instanceof AgentAnycastError)) throw error;
      rejected.push({ index, error });
    }
  }
  return {
    entries,
    ...(isObject(json.host) && { host: json.host }),
    ...defined<{ rest?: JsonObject }>({
      rest: nonEmpty(
        others(json, ["entries", "host", ...specVersion === SPEC_VERSION ? ["specVersion"] : []]),
      ),
    }),
    rejected,
  };
}

/** An entry from JSON. Drafts of the catalog call its type `mediaType`. */
export function readEntry(value: unknown, index: number): CatalogEntry {
  const what = `entry ${index + 1} of the catalog`;
  const json = asObject(value, what);
  if ((json.url === undefined) === (json.data === undefined)) {
    throw unreadable(
      what,
      json.url === undefined ? "it has neither url nor data" : "it has url and data",
      "give one of them",
    );
  }
  return defined<CatalogEntry>({
    identifier: asText(json.identifier, `identifier of ${what}`),
    type: asText(json.type ?? json.mediaType, `type of ${what}`),
    displayName: textOrNothing(json.displayName),
    url: json.url === undefined ? undefined : asText(json.url, `url of ${what}`),
    data: json.data === undefined ? undefined : asObject(json.data, `data of ${what}`),
    version: textOrNothing(json.version),
    description: textOrNothing(json.description),
    tags: textsOrNothing(json.tags),
    updatedAt: textOrNothing(json.updatedAt),
    rest: nonEmpty(others(json, ENTRY_KEYS)),
  });
}
