import type { GlobalOptions } from "./verb.ts";

/** A call of this program that works on the same home, for a person to copy. */
export function toCall(verb: string, { home }: Pick<GlobalOptions, "home">): string {
  return `agentanycast ${verb}${home === undefined ? "" : ` --home ${quoteWord(home)}`}`;
}

function quoteWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
