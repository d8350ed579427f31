import type { AgentCard, Skill } from "../sdk/mod.ts";

type Fields = Readonly<Record<string, unknown>>;

const TEXTS = ["description", "version", "protocolVersion", "didWeb", "didDns"] as const;
const LISTS = ["supportedTransports", "relayAddresses", "verifiableCredentials"] as const;
const SKILL_LISTS = ["tags", "inputModes", "outputModes", "examples"] as const;
const SKILL_TEXTS = ["name", "description", "inputSchema", "outputSchema"] as const;

/** Members that `card` prints and that the node decides. */
const DECIDED_BY_NODE = ["peerId", "didKey", "signedAt", "check"];

/** A card from parsed JSON, as `card --json` prints it. Throws `SyntaxError` that names the member at fault. */
export function parseCard(json: unknown): AgentCard {
  const fields = asObject(json, "the card");
  refuseUnknown(fields, ["name", "skills", ...TEXTS, ...LISTS, ...DECIDED_BY_NODE], "the card");
  return {
    name: asText(fields.name, "name"),
    skills: asArray(fields.skills ?? [], "skills").map(parseSkill),
    ...pick(fields, TEXTS, asText),
    ...pick(fields, LISTS, asTexts),
  };
}

function parseSkill(json: unknown, i: number): Skill {
  const where = `skills[${i}]`;
  const fields = asObject(json, where);
  refuseUnknown(fields, ["id", ...SKILL_LISTS, ...SKILL_TEXTS], where);
  return {
    id: asText(fields.id, `${where}.id`),
    ...pick(fields, SKILL_TEXTS, asText),
    ...pick(fields, SKILL_LISTS, asTexts),
  };
}

/** Those of `names` that are there, each read by `read`. */
function pick<N extends string, T>(
  fields: Fields,
  names: readonly N[],
  read: (value: unknown, where: string) => T,
): { [P in N]?: T } {
  const found = names.filter((name) => fields[name] !== undefined);
  return Object.fromEntries(found.map((name) => [name, read(fields[name], name)])) as { [P in N]?: T };
}

function refuseUnknown(fields: Fields, known: readonly string[], where: string): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new SyntaxError(`${where} has an unknown member "${unknown}": known are ${known.join(", ")}`);
  }
}

function asObject(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new SyntaxError(`${where} must be an object`);
}

function asArray(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new SyntaxError(`${where} must be an array`);
}

function asText(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw new SyntaxError(`${where} must be a text`);
}

function asTexts(value: unknown, where: string): readonly string[] {
  return asArray(value, where).map((item, i) => asText(item, `${where}[${i}]`));
}
