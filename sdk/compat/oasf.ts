import type { JsonObject, JsonValue, Skill } from "../model.ts";
import { fromA2aCard, toA2aCard, versionOfA2aCard } from "./a2a_card.ts";
import type { A2aVersion } from "./a2a_dialect.ts";
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
} from "./json.ts";

/** `1.0`: records as published (module `integration/a2a`, a card of A2A 1.0). `legacy`: those of the older SDKs. */
export type OasfDialect = "1.0" | "legacy";

/** A class of the taxonomy of OASF: by its path, its number, or both. */
export interface OasfClass {
  /** Its path, such as `natural_language_processing/natural_language_generation/summarization`. */
  readonly name?: string;
  /** Its number. */
  readonly id?: number;
}

/** What a record says beside its card. */
export interface OasfFacts {
  /** Default `1.0`. */
  readonly dialect?: OasfDialect;
  /** Default: none. OASF wants at least one. */
  readonly authors?: readonly string[];
  /** Default: now. */
  readonly createdAt?: Date;
  /** Default: that of the card, else `1.0.0`. */
  readonly version?: string;
  /** Version of OASF: the record is written in its form, before 1.0 in that of 0.8. Default `1.0.0`. */
  readonly schemaVersion?: string;
  /** In which form of A2A the card is. Default: that of the dialect, `1.0` or `legacy`. */
  readonly cardVersion?: A2aVersion;
  /** What the module that the card is in says besides. Default: what the dialect and the version of OASF want. */
  readonly module?: JsonObject;
  /** Skills by the taxonomy. Default: the ids of the card's skills, which directories that check the taxonomy refuse. */
  readonly skills?: readonly OasfClass[];
  /** Domains by the taxonomy. */
  readonly domains?: readonly OasfClass[];
  /** Other members of the record, such as further modules, locators and annotations. */
  readonly rest?: JsonObject;
}

const MODULES = {
  "1.0": { name: "integration/a2a", id: 203 },
  legacy: { name: "a2a", id: 3 },
} as const;
/** What the module was called by OASF 0.7. */
const OLD_MODULE = "runtime/a2a";
const RECORD_KEYS = [
  ...["name", "description", "version", "schema_version", "authors", "created_at"],
  ...["skills", "domains", "modules", "locators"],
];

/**
 * A record of OASF for a card, which is in it as a whole: {@link fromOasfRecord} gives the same card back.
 */
export function toOasfRecord(card: CompatCard, facts: OasfFacts = {}): JsonObject {
  const { dialect = "1.0", authors = [], createdAt = new Date(), domains = [], rest = {} } = facts;
  const { schemaVersion = "1.0.0", cardVersion = dialect } = facts;
  const { modules, locators, ...more } = rest;
  const { data, ...module } = facts.module ?? moduleOf(card, { dialect, schemaVersion });
  return present({
    name: card.name,
    description: card.description ?? "",
    version: facts.version ?? card.version ?? "1.0.0",
    schema_version: schemaVersion,
    authors,
    created_at: createdAt.toISOString(),
    skills: facts.skills ?? card.skills.map(({ id }) => ({ name: id })),
    domains,
    modules: [{
      ...module,
      data: { ...(isObject(data) && data), card_data: toA2aCard(card, { version: cardVersion }) },
    }, ...asList(modules, "modules")],
    locators: withOwn(asList(locators, "locators"), locatorsOf(card, schemaVersion)),
    ...more,
  });
}

/** The module of a card without the card. */
function moduleOf(
  card: CompatCard,
  { dialect, schemaVersion }: { dialect: OasfDialect; schemaVersion: string },
): JsonObject {
  if (dialect === "legacy") {
    return { ...MODULES.legacy, data: { card_schema_version: card.protocolVersion ?? "a2a/0.3" } };
  }
  const data: JsonObject = isBeforeOne(schemaVersion)
    ? { protocol_version: "1.0" }
    : { card_schema_version: "v1.0.0" };
  return { ...MODULES[dialect], data };
}

function isBeforeOne(schemaVersion: string): boolean {
  return /^v?0\./.test(schemaVersion);
}

function locatorsOf({ peerId, didKey }: CompatCard, schemaVersion: string): JsonObject[] {
  const urls = [
    ...peerId === undefined ? [] : [`p2p://${peerId}`],
    ...didKey === undefined ? [] : [didKey.startsWith("did:") ? didKey : `did:${didKey}`],
  ];
  return urls.map((url): JsonObject =>
    isBeforeOne(schemaVersion) ? { type: "unspecified", url } : { type: "url", urls: [url] }
  );
}

/** Those of the card first, but for those that say the same as others. */
function withOwn(others: readonly JsonValue[], own: readonly JsonObject[]): JsonValue[] {
  const known = urlsIn(others);
  return [...own.filter((locator) => !urlsIn([locator]).every((url) => known.includes(url))), ...others];
}

/** Without those of the card when these come first; else all, so that they keep their order. */
function withoutOwn(locators: readonly JsonValue[], own: readonly JsonObject[]): readonly JsonValue[] {
  const isOwnFirst = own.every((locator, at) => sorted(locators[at] ?? null) === sorted(locator));
  return isOwnFirst ? locators.slice(own.length) : locators;
}

function urlsIn(locators: readonly JsonValue[]): readonly string[] {
  return locators.filter(isObject).flatMap(({ urls, url }) =>
    textsOrNothing(urls) ?? textOrNothing(url) ?? []
  );
}

/**
 * The card of a record of OASF in either dialect, and what the record says besides; both together make the same record again.
 * A record without a card of A2A gives one with what it says itself. Throws `AgentAnycastError` with `invalid_argument` for
 * what is no record.
 */
export function fromOasfRecord(value: unknown): { readonly card: CompatCard; readonly facts: OasfFacts } {
  const record = asObject(value, "the OASF record");
  const modules = asList(record.modules, "modules of the OASF record");
  const module = modules.find(isA2aModule);
  const cardVersion = module === undefined ? undefined : versionOfA2aCard(cardDataOf(module));
  const found = module === undefined || cardVersion === undefined
    ? fromBareRecord(record)
    : fromA2aCard(cardDataOf(module), { version: cardVersion });
  const locators = asList(record.locators, "locators of the OASF record");
  const card = { ...addressed(locators), ...found };
  const schemaVersion = textOrNothing(record.schema_version);
  const dialect = module !== undefined && isLegacyModule(module) ? "legacy" : "1.0";
  const createdAtMs = Date.parse(String(record.created_at));
  const version = textOrNothing(record.version);
  return {
    card,
    facts: defined<OasfFacts>({
      dialect,
      cardVersion: cardVersion === dialect ? undefined : cardVersion,
      module: module &&
        otherModule(module, moduleOf(card, { dialect, schemaVersion: schemaVersion ?? "1.0.0" })),
      authors: textsOrNothing(record.authors),
      createdAt: Number.isNaN(createdAtMs) ? undefined : new Date(createdAtMs),
      version: version === (card.version ?? "1.0.0") ? undefined : version,
      schemaVersion,
      skills: classesOf(record.skills),
      domains: classesOf(record.domains),
      rest: nonEmpty(present({
        ...others(record, RECORD_KEYS),
        name: record.name === card.name ? undefined : record.name,
        description: record.description === (card.description ?? "") ? undefined : record.description,
        modules: listed(modules.filter((one) => one !== module)),
        locators: listed(withoutOwn(locators, locatorsOf(card, schemaVersion ?? "1.0.0"))),
      })),
    }),
  };
}

/** What a module says beside its card, when that is not what would be written anyhow. */
function otherModule({ data, ...module }: JsonObject, usual: JsonObject): JsonObject | undefined {
  const said = { ...module, data: others(isObject(data) ? data : {}, ["card_data"]) };
  return sorted(said) === sorted(usual) ? undefined : said;
}

function sorted(json: JsonValue): string {
  return JSON.stringify(
    json,
    (_name, value) => isObject(value) ? Object.fromEntries(Object.entries(value).sort()) : value,
  );
}

function isA2aModule(module: JsonValue): module is JsonObject {
  if (!isObject(module) || !isObject(module.data) || !isObject(module.data.card_data)) return false;
  return Object.values(MODULES).some(({ name, id }) => module.name === name || module.id === id) ||
    module.name === OLD_MODULE;
}

function isLegacyModule({ name, id }: JsonObject): boolean {
  return name === MODULES.legacy.name || (name === undefined && id === MODULES.legacy.id);
}

function cardDataOf({ data }: JsonObject): JsonObject {
  return asObject(asObject(data, "data of the A2A module").card_data, "card_data of the A2A module");
}

function fromBareRecord(record: JsonObject): CompatCard {
  const skills = classesOf(record.skills) ?? [];
  return defined<CompatCard>({
    name: asText(record.name, "name of the OASF record"),
    description: textOrNothing(record.description),
    version: textOrNothing(record.version),
    skills: skills.map(({ name, id }): Skill => ({ id: name ?? String(id) })),
  });
}

/** What the locators say of where an agent is. */
function addressed(locators: readonly JsonValue[]): Partial<CompatCard> {
  const urls = urlsIn(locators);
  return defined<Partial<CompatCard>>({
    peerId: urls.find((url) => url.startsWith("p2p://"))?.slice("p2p://".length),
    didKey: urls.find((url) => url.startsWith("did:key:")),
  });
}

function classesOf(value: JsonValue | undefined): readonly OasfClass[] | undefined {
  if (value === undefined) return undefined;
  const classes = asList(value, "classes of the OASF record").filter(isObject);
  return classes.filter(({ name, id }) => typeof name === "string" || typeof id === "number") as OasfClass[];
}

function listed(items: readonly JsonValue[]): readonly JsonValue[] | undefined {
  return items.length === 0 ? undefined : items;
}
