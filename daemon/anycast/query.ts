import { CodedError } from "../../core/errors.ts";
import type { DiscoveredAgent, DiscoveredSkill, DiscoverQuery } from "./model.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_TEXT_LENGTH = 256;
const MAX_TAGS = 32;

/** A query with everything that it leaves open decided. */
export interface ResolvedQuery extends DiscoverQuery {
  readonly tags: Readonly<Record<string, string>>;
  readonly limit: number;
}

/** Checks what a client asks for. @throws CodedError `invalid_argument`. */
export function resolveQuery(query: DiscoverQuery): ResolvedQuery {
  const { skill, prefix, text, tags = {}, limit = 0 } = query;
  const texts = Object.entries({ skill, prefix, text, ...tags });
  const long = texts.find(([name, value]) => `${name}${value ?? ""}`.length > MAX_TEXT_LENGTH);
  if (long !== undefined || Object.keys(tags).length > MAX_TAGS) {
    throw new CodedError(
      "invalid_argument",
      `Agents are looked for by ${MAX_TAGS} tags and texts of ${MAX_TEXT_LENGTH} characters at most`,
    );
  }
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new CodedError("invalid_argument", `The limit is a whole number, got ${limit}`);
  }
  return {
    ...(skill && { skill }),
    ...(prefix && { prefix }),
    ...(text && { text }),
    tags,
    limit: Math.min(limit === 0 ? DEFAULT_LIMIT : limit, MAX_LIMIT),
  };
}

/** Whether the agent has a skill that fits, and the words that are looked for. */
export function fits(agent: DiscoveredAgent, { skill, prefix, text, tags }: ResolvedQuery): boolean {
  const asksForSkill = skill !== undefined || prefix !== undefined || Object.keys(tags).length > 0;
  const hasSkill = agent.skills.some((one) =>
    (skill === undefined || one.id === skill) && (prefix === undefined || one.id.startsWith(prefix)) &&
    hasTags(one, tags)
  );
  if (asksForSkill && !hasSkill) return false;
  if (text === undefined) return true;
  const said = [
    agent.name,
    agent.description,
    ...agent.skills.flatMap(({ id, description }) => [id, description]),
  ].join("\n").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => said.includes(word));
}

/** Keywords of a card as labels: `lang=fr` is one with a value, `fast` one without. */
export function toLabels(keywords: readonly string[]): Record<string, string> {
  return Object.fromEntries(keywords.map((keyword) => {
    const [, name = keyword, value = ""] = /^([^=]+)=(.*)$/s.exec(keyword) ?? [];
    return [name, value];
  }));
}

function hasTags(skill: DiscoveredSkill, tags: Readonly<Record<string, string>>): boolean {
  return Object.entries(tags).every(([name, value]) => skill.tags[name] === value);
}
