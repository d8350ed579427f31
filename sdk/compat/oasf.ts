import type { JsonObject, JsonValue, Skill } from "../model.ts";
import { fromA2aCard, toA2aCard, versionOfA2aCard } from "./a2a_card.ts";
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

/** A class of the taxonomy of OASF. */
export interface OasfClass {
  /** Its path, such as `natural_language_processing/natural_language_generation/summarization`. */
  readonly name: string;
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
  /** Version of OASF. Default `1.0.0`. */
  readonly schemaVersion?: string;
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
const RECORD_KEYS = [
  ...["name", "description", "version", "schema_version", "authors", "created_at"],
  ...["skills", "domains", "modules", "locators"],
];

/**
 * A record of OASF for a card, which is in it as a whole: {@link fromOasfRecord} gives the same card back.
 */
export function toOasfRecord(card: CompatCard, facts: OasfFacts = {}): JsonObject {
  const { dialect = "1.0", authors = [], createdAt = new Date(), domains = [], rest = {} } = facts;
  const isLegacy = dialect === "legacy";
  const { modules, locators, ...more } = rest;
  return present({
    name: card.name,
    description: card.description ?? "",
    version: facts.version ?? card.version ?? "1.0.0",
    schema_version: facts.schemaVersion ?? "1.0.0",
    authors,
    created_at: createdAt.toISOString(),
    skills: facts.skills ?? card.skills.map(({ id }) => ({ name: id })),
    domains,
    modules: [{
      ...MODULES[dialect],
      data: {
        card_data: toA2aCard(card, { version: isLegacy ? "legacy" : "1.0" }),
        card_schema_version: isLegacy ? card.protocolVersion ?? "a2a/0.3" : "v1.0.0",
      },
    }, ...asList(modules, "modules")],
    locators: [...locatorsOf(card), ...asList(locators, "locators")],
    ...more,
  });
}

function locatorsOf({ peerId, didKey }: CompatCard): JsonObject[] {
  const urls = [
    ...peerId === undefined ? [] : [`p2p://${peerId}`],
    ...didKey === undefined ? [] : [didKey.startsWith("did:") ? didKey : `did:${didKey}`],
  ];
  return urls.map((url) => ({ type: "url", urls: [url] }));
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
  const found = module === undefined ? fromBareRecord(record) : fromA2aCard(cardDataOf(module), {
    version: versionOfA2aCard(cardDataOf(module)),
  });
  const locators = asList(record.locators, "locators of the OASF record");
  const card = { ...addressed(locators), ...found };
  const own = locatorsOf(card).map((locator) => JSON.stringify(locator));
  const createdAtMs = Date.parse(String(record.created_at));
  const version = textOrNothing(record.version);
  return {
    card,
    facts: defined<OasfFacts>({
      dialect: isObject(module) && isLegacyModule(module) ? "legacy" : "1.0",
      authors: textsOrNothing(record.authors),
      createdAt: Number.isNaN(createdAtMs) ? undefined : new Date(createdAtMs),
      version: version === (card.version ?? "1.0.0") ? undefined : version,
      schemaVersion: textOrNothing(record.schema_version),
      skills: classesOf(record.skills),
      domains: classesOf(record.domains),
      rest: nonEmpty(present({
        ...others(record, RECORD_KEYS),
        modules: listed(modules.filter((one) => one !== module)),
        locators: listed(locators.filter((one) => !own.includes(JSON.stringify(plain(one))))),
      })),
    }),
  };
}

function isA2aModule(module: JsonValue): module is JsonObject {
  if (!isObject(module) || !isObject(module.data) || !isObject(module.data.card_data)) return false;
  return Object.values(MODULES).some(({ name, id }) => module.name === name || module.id === id);
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
    skills: skills.map(({ name }): Skill => ({ id: name })),
  });
}

/** What the locators say of where an agent is. */
function addressed(locators: readonly JsonValue[]): Partial<CompatCard> {
  const urls = locators.filter(isObject).flatMap(({ urls, url }) =>
    textsOrNothing(urls) ?? textOrNothing(url) ?? []
  );
  return defined<Partial<CompatCard>>({
    peerId: urls.find((url) => url.startsWith("p2p://"))?.slice("p2p://".length),
    didKey: urls.find((url) => url.startsWith("did:key:")),
  });
}

function classesOf(value: JsonValue | undefined): readonly OasfClass[] | undefined {
  if (value === undefined) return undefined;
  return asList(value, "classes of the OASF record").filter(isObject).filter(({ name }) =>
    typeof name === "string"
  )
    .map((one) => one as unknown as OasfClass);
}

/** With its members in the order that they are written in here. */
function plain(locator: JsonValue): JsonValue {
  if (!isObject(locator) || Object.keys(locator).length !== 2) return locator;
  return present({ type: locator.type, urls: locator.urls });
}

function listed(items: readonly JsonValue[]): readonly JsonValue[] | undefined {
  return items.length === 0 ? undefined : items;
}
