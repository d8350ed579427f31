import { CodedError } from "../../core/errors.ts";
import {
  DEFAULT_PAGE_SIZE,
  MAX_PAGE_SIZE,
  type RegistryPage,
  type RegistryQuery,
} from "../../registry/mod.ts";
import { createMatcher, type Entry } from "./entry.ts";
import type { EntryTable } from "./entry_table.ts";
import { mergeAfter, type SortedIds } from "./sorted_ids.ts";
import type { Turns } from "./turns.ts";

/** Longest text of a query, in UTF-16 units. */
const MAX_QUERY_CHARS = 256;
/** Most labels in a query. */
const MAX_QUERY_TAGS = 32;
/** More skills than this with one prefix: it is quicker to look at every agent. */
const MAX_MERGED_SKILLS = 32;

/** Where is looked. */
export interface FindDeps {
  readonly tables: readonly EntryTable[];
  /** Lets the relay do other things while many agents are looked at. */
  readonly turns: Turns;
  /** What holds of a peer. */
  get(peerId: string): Entry | undefined;
}

/** A `RegistryPage` of entries. */
export interface FoundPage extends RegistryPage {
  readonly agents: readonly Entry[];
}

/**
 * The page of `query`: its order does not change, so that a page token, which is the last peer id, leads on whatever has
 * changed meanwhile. Throws `invalid_argument` for a query that is too long, `resource_exhausted` as {@link Turns}.
 */
export async function findPage(deps: FindDeps, query: RegistryQuery): Promise<FoundPage> {
  const limit = pageSize(query.limit);
  const agents: Entry[] = [];
  let hasMore = false;
  await findAll(deps, query, (entry) => {
    hasMore = agents.length === limit;
    if (!hasMore) agents.push(entry);
    return !hasMore;
  });
  return { agents, nextPageToken: hasMore ? agents.at(-1)?.peerId ?? "" : "" };
}

/**
 * Gives all that fit `query` behind its page token to `take`, ordered by peer id, until that answers false. What changes
 * meanwhile is seen when it lies ahead. Throws as {@link findPage}.
 */
export async function findAll(
  deps: FindDeps,
  query: RegistryQuery,
  take: (entry: Entry) => boolean,
): Promise<void> {
  checkQuery(query);
  const matches = createMatcher(query);
  let after = query.pageToken ?? "";
  await deps.turns.run((isOver) => {
    for (const peerId of mergeAfter(candidates(deps.tables, query), after)) {
      const entry = deps.get(peerId);
      if (entry !== undefined && matches(entry) && !take(entry)) return true;
      after = peerId;
      if (isOver()) return false;
    }
    return true;
  });
}

function pageSize(limit = 0): number {
  return limit <= 0 ? DEFAULT_PAGE_SIZE : Math.min(limit, MAX_PAGE_SIZE);
}

/** Sets of peers in which all that can fit are. */
function candidates(tables: readonly EntryTable[], { skill, prefix }: RegistryQuery): SortedIds[] {
  if (skill !== undefined) return tables.map((table) => table.withSkill(skill));
  if (prefix === undefined) return tables.map(({ ids }) => ids);
  const sets = tables.flatMap((table) => {
    const skillIds = table.skillIds(prefix).take(MAX_MERGED_SKILLS + 1);
    return [...skillIds].map((id) => table.withSkill(id));
  });
  return sets.length <= MAX_MERGED_SKILLS ? sets : tables.map(({ ids }) => ids);
}

function checkQuery({ skill = "", prefix = "", text = "", pageToken = "", tags = {} }: RegistryQuery): void {
  const labels = Object.entries(tags);
  const longest = Math.max(...[skill, prefix, text, pageToken, ...labels.flat()].map(({ length }) => length));
  if (longest <= MAX_QUERY_CHARS && labels.length <= MAX_QUERY_TAGS) return;
  throw new CodedError(
    "invalid_argument",
    `The query cannot be answered: at most ${MAX_QUERY_TAGS} tags and ${MAX_QUERY_CHARS} characters in each text are taken`,
  );
}
