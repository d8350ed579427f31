import type { AgentCard, Skill } from "../a2a/mod.ts";

/** Names that a card of several agents is called by; further ones are counted. */
const MAX_NAMES = 3;

/**
 * The one card of a node with several agents: it has the skills of all. Of a skill that two agents have, the words of the first
 * one count and the tags of both; first is whose name comes first, so that the card does not depend on who came when. A lone card is what it was.
 */
export function mergeCards(cards: readonly AgentCard[]): AgentCard | undefined {
  const [first, ...others] = [...cards].sort((a, b) => compare(a.name, b.name));
  if (first === undefined || others.length === 0) return first;
  const all = [first, ...others];
  const skills = new Map<string, Skill>();
  for (const skill of all.flatMap((card) => card.skills)) {
    const known = skills.get(skill.id);
    skills.set(skill.id, known === undefined ? skill : { ...known, tags: union([known.tags, skill.tags]) });
  }
  const names = [...new Set(all.map(({ name }) => name))];
  const more = names.length - MAX_NAMES;
  const described = all.filter(({ description }) => description !== "");
  return {
    ...first,
    name: names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : ""),
    description: names.length === 1
      ? first.description
      : described.map(({ name, description }) => `${name}: ${description}`).join("\n"),
    skills: [...skills.values()],
    supportedTransports: union(all.map((card) => card.supportedTransports)),
    relayAddresses: union(all.map((card) => card.relayAddresses)),
    didWeb: all.find(({ didWeb }) => didWeb !== "")?.didWeb ?? "",
    didDns: all.find(({ didDns }) => didDns !== "")?.didDns ?? "",
    verifiableCredentials: union(all.map((card) => card.verifiableCredentials)),
  };
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}

/** The same order everywhere, whatever the language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
