import type { JsonObject } from "../model.ts";
import type { CompatCard, CompatSkill } from "./card_v1.ts";
import {
  asList,
  asObject,
  asText,
  defined,
  isObject,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  textOrNothing,
  textsOrNothing,
} from "./json.ts";

/** What an interface of a card is that only speaks the older form. */
const LEGACY_INTERFACE = { protocolBinding: "JSONRPC", protocolVersion: "0.2" };
const BLOCK = "agentanycast";
const SKILL_KEYS = [
  ...["id", "name", "description", "tags", "examples", "input_schema", "output_schema"],
  ...["inputModes", "outputModes", "input_modes", "output_modes", "media_types", "extra"],
];

/** A skill as the older SDKs read it, in either of their forms: their "modes" are its schemas. */
export function toLegacySkill(skill: CompatSkill): JsonObject {
  const { id, name, description, tags, examples, inputSchema, outputSchema, inputModes, outputModes } = skill;
  return present({
    id,
    name: name ?? description ?? id,
    description: description ?? "",
    title: name,
    tags,
    examples,
    inputModes: inputSchema === undefined ? undefined : [inputSchema],
    outputModes: outputSchema === undefined ? undefined : [outputSchema],
    input_schema: inputSchema,
    output_schema: outputSchema,
    media_types: nonEmpty(present({ input: inputModes, output: outputModes })),
    extra: skill.extra,
  });
}

export function fromLegacySkill(value: unknown): CompatSkill {
  const json = asObject(value, "the skill");
  const modes = isObject(json.media_types) ? json.media_types : {};
  const schema = (named: string, listed: string, older: string) =>
    stringOrNothing(json[named]) ?? textsOrNothing(json[listed] ?? json[older])?.[0];
  const [name, description] = [textOrNothing(json.name), textOrNothing(json.description)];
  return defined<CompatSkill>({
    id: asText(json.id, "id of the skill"),
    name: stringOrNothing(json.title) ?? (name === description || name === json.id ? undefined : name),
    description: json.description === undefined ? name : description,
    tags: textsOrNothing(json.tags),
    examples: textsOrNothing(json.examples),
    inputSchema: schema("input_schema", "inputModes", "input_modes"),
    outputSchema: schema("output_schema", "outputModes", "output_modes"),
    inputModes: textsOrNothing(modes.input),
    outputModes: textsOrNothing(modes.output),
    extra: nonEmpty({ ...others(json, [...SKILL_KEYS, "title"]), ...(isObject(json.extra) && json.extra) }),
  });
}

/** A card as the older SDKs read it, in either of their forms. @param url where its agent is served, if it is. */
export function toLegacyCard(card: CompatCard, url?: string): JsonObject {
  const { supportedInterfaces, ...extra } = card.extra ?? {};
  const interfaces = asList(supportedInterfaces, "supportedInterfaces of the card").filter(isObject);
  const [only] = interfaces;
  const isLegacy = interfaces.length === 1 && only?.protocolVersion === LEGACY_INTERFACE.protocolVersion;
  return present({
    name: card.name,
    description: card.description ?? "",
    version: card.version ?? "1.0.0",
    url: url ?? only?.url,
    protocol_version: card.protocolVersion,
    skills: card.skills.map(toLegacySkill),
    [BLOCK]: nonEmpty(toBlock(card)),
    supportedInterfaces: isLegacy ? undefined : supportedInterfaces,
    ...extra,
  });
}

function toBlock(card: CompatCard): JsonObject {
  return present({
    peer_id: card.peerId,
    did_key: card.didKey,
    did_web: card.didWeb,
    did_dns: card.didDns,
    supported_transports: card.supportedTransports,
    relay_addresses: card.relayAddresses,
    verifiable_credentials: card.verifiableCredentials,
    signed_at: card.signedAt?.toISOString(),
    ...(card.version === undefined && { without_version: true }),
  });
}

export function fromLegacyCard(value: unknown): CompatCard {
  const json = asObject(value, "the card");
  const block = isObject(json[BLOCK]) ? json[BLOCK] : {};
  const url = textOrNothing(json.url);
  const signedAtMs = typeof block.signed_at === "string" ? Date.parse(block.signed_at) : NaN;
  const interfaces = json.supportedInterfaces ??
    (url === undefined ? undefined : [{ url, ...LEGACY_INTERFACE }]);
  const known = ["name", "description", "version", "url", "protocol_version", "skills", BLOCK];
  return defined<CompatCard>({
    name: asText(json.name, "name of the card"),
    description: textOrNothing(json.description),
    version: block.without_version === true ? undefined : stringOrNothing(json.version),
    protocolVersion: stringOrNothing(json.protocol_version),
    skills: asList(json.skills, "skills of the card").map(fromLegacySkill),
    peerId: stringOrNothing(block.peer_id),
    didKey: stringOrNothing(block.did_key),
    didWeb: stringOrNothing(block.did_web),
    didDns: stringOrNothing(block.did_dns),
    supportedTransports: textsOrNothing(block.supported_transports),
    relayAddresses: textsOrNothing(block.relay_addresses),
    verifiableCredentials: textsOrNothing(block.verifiable_credentials),
    signedAt: Number.isNaN(signedAtMs) ? undefined : new Date(signedAtMs),
    extra: nonEmpty(present({ ...others(json, known), supportedInterfaces: interfaces })),
  });
}
