import type { RegistryFacts, RegistrySkill } from "../../identity/mod.ts";
import type { Registration, RegistryQuery } from "../../registry/mod.ts";

/** Longest {@link Entry.searchText}, in UTF-16 units: as much as a record can say. */
const MAX_SEARCH_CHARS = 32 * 1024;

/** A registration as this relay holds it. */
export interface Entry extends Registration {
  /** Sequence of the signed record; 0 without one. */
  readonly sequence: number;
  /** When the signed record lapses, in milliseconds; without one, never. */
  readonly recordExpiresAtMs: number;
  /** Nanoseconds since the epoch, grown with each change at its origin: of two the higher one is newer. */
  readonly version: bigint;
  /** Relays it has come through, the origin first; empty when it is registered here. */
  readonly path: readonly string[];
  /** Until when it holds by what this relay last said to others. Milliseconds. */
  readonly toldUntilMs: number;
  /** Network address that it was registered from; empty for one from another relay. */
  readonly host: string;
  /** What {@link toSearchText} makes of it: made once, for queries go through those of all agents. */
  readonly searchText: string;
}

/** Bytes that an entry takes, about. */
export function sizeOf(entry: Entry): number {
  const texts = entry.skills.reduce(
    (sum, { id, description, tags }) => sum + 64 + id.length + description.length + lengthOf(tags),
    entry.name.length + entry.description.length + entry.addresses.join("").length + entry.searchText.length,
  );
  return 512 + 2 * texts + (entry.signed?.payload.length ?? 0);
}

function lengthOf(tags: Readonly<Record<string, string>>): number {
  return Object.entries(tags).reduce((sum, [name, value]) => sum + 32 + name.length + value.length, 0);
}

/**
 * Which of two entries of one peer holds: a signed one before an unsigned one, then the later record, then the one that is
 * registered here, then the newer one.
 */
export function better(a: Entry | undefined, b: Entry | undefined): Entry | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.verified !== b.verified) return a.verified ? a : b;
  if (a.sequence !== b.sequence) return a.sequence > b.sequence ? a : b;
  if ((a.path.length === 0) !== (b.path.length === 0)) return a.path.length === 0 ? a : b;
  return a.version >= b.version ? a : b;
}

/** Whether an entry is one that `query` asks for. */
export function createMatcher(query: RegistryQuery): (entry: Entry) => boolean {
  const { skill, prefix, tags = {}, text = "", verifiedOnly = false, federated = true } = query;
  const wanted = Object.entries(tags);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const bySkill = skill !== undefined || prefix !== undefined || wanted.length > 0;
  const fits = ({ id, tags: has }: RegistrySkill) =>
    (skill === undefined || id === skill) && (prefix === undefined || id.startsWith(prefix)) &&
    wanted.every(([name, value]) => Object.hasOwn(has, name) && has[name] === value);
  return (entry) => {
    if (verifiedOnly && !entry.verified) return false;
    if (!federated && entry.path.length > 0) return false;
    if (bySkill && !entry.skills.some(fits)) return false;
    if (words.length === 0) return true;
    return words.every((word) => entry.searchText.includes(word));
  };
}

/** All that can be searched of an agent, in lower case; what is longer than a record can be is cut. */
export function toSearchText({ name, description, skills }: RegistryFacts): string {
  const texts = skills.flatMap((skill) => [skill.id, skill.description]);
  return [name, description, ...texts].join("\n").slice(0, MAX_SEARCH_CHARS).toLowerCase();
}
