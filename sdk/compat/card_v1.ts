import type { AgentCard, JsonObject, JsonValue, Skill } from "../model.ts";
import {
  asList,
  asObject,
  asText,
  defined,
  type Extra,
  isObject,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  textsOrNothing,
} from "./json.ts";

/** A skill, and what else its JSON says. */
export type CompatSkill = Skill & Extra;
/** A card, and what else its JSON says. */
export type CompatCard = Omit<AgentCard, "skills"> & Extra & { readonly skills: readonly CompatSkill[] };

/** The extension of A2A in whose parameters a card says what A2A has no member for. */
export const CARD_EXTENSION = "urn:agentanycast:a2a-card:1";
/** By which an interface of a card is on the peer-to-peer network. */
export const P2P_BINDING = "urn:agentanycast:a2a-p2p:2";

const DEFAULT_MODES = ["text/plain", "application/json", "application/octet-stream"];
const SKILL_KEYS = ["id", "name", "description", "tags", "examples", "inputModes", "outputModes"];
const CARD_KEYS = ["name", "description", "version", "supportedInterfaces", "capabilities", "skills"];

/** A skill of A2A, with what it must say filled in. */
export function toSkillV1(skill: CompatSkill): JsonObject {
  return present({ ...requiredOf(skill), ...declaredOf(skill), ...skill.extra });
}

function declaredOf({ id, name, description, tags, examples, inputModes, outputModes }: Skill): JsonObject {
  return present({ id, name, description, tags, examples, inputModes, outputModes });
}

function requiredOf({ id, name, description }: Skill): JsonObject {
  return { name: name || id, description: description || name || id, tags: [id] };
}

/** @param facts what the card says about the skill besides. */
export function fromSkillV1(value: unknown, facts: JsonObject = {}): CompatSkill {
  const json = asObject(value, "the A2A skill");
  const filled = textsOrNothing(facts.filled) ?? [];
  const own = others(json, filled);
  return defined<CompatSkill>({
    id: asText(json.id, "id of the A2A skill"),
    name: stringOrNothing(own.name),
    description: stringOrNothing(own.description),
    tags: textsOrNothing(own.tags),
    examples: textsOrNothing(own.examples),
    inputModes: textsOrNothing(own.inputModes),
    outputModes: textsOrNothing(own.outputModes),
    inputSchema: stringOrNothing(facts.inputSchema),
    outputSchema: stringOrNothing(facts.outputSchema),
    extra: nonEmpty(others(json, SKILL_KEYS)),
  });
}

/** @param url where its agent is served as JSON-RPC, if it is. */
export function toCardV1(card: CompatCard, url?: string): JsonObject {
  const { supportedInterfaces, capabilities, ...extra } = card.extra ?? {};
  const { extensions, ...can } = isObject(capabilities) ? capabilities : {};
  const params = nonEmpty(toParams(card));
  const all = [
    ...asList(extensions, "extensions of the card"),
    ...params === undefined ? [] : [{ uri: CARD_EXTENSION, params }],
  ];
  return present({
    name: card.name,
    description: card.description ?? card.name,
    supportedInterfaces: [
      ...url === undefined ? [] : [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      ...asList(supportedInterfaces, "supportedInterfaces of the card"),
      ...card.peerId === undefined ? [] : [p2pInterface(card.peerId)],
    ],
    version: card.version ?? "1.0.0",
    capabilities: { ...can, ...(all.length > 0 && { extensions: all }) },
    defaultInputModes: DEFAULT_MODES,
    defaultOutputModes: DEFAULT_MODES,
    skills: card.skills.map(toSkillV1),
    ...extra,
  });
}

function p2pInterface(peerId: string): JsonObject {
  return { url: `p2p://${peerId}`, protocolBinding: P2P_BINDING, protocolVersion: "1.0" };
}

/** What A2A has no member for, and which of its required members are only filled in. */
function toParams(card: CompatCard): JsonObject {
  const skills = card.skills.map((skill) => {
    const { inputSchema, outputSchema } = skill;
    return present({ inputSchema, outputSchema, filled: missing(skill, ["name", "description", "tags"]) });
  });
  return present({
    protocolVersion: card.protocolVersion,
    peerId: card.peerId,
    didKey: card.didKey,
    didWeb: card.didWeb,
    didDns: card.didDns,
    supportedTransports: card.supportedTransports,
    relayAddresses: card.relayAddresses,
    verifiableCredentials: card.verifiableCredentials,
    signedAt: card.signedAt?.toISOString(),
    filled: missing(card, ["description", "version"]),
    modes: card.extra?.defaultInputModes === undefined && card.extra?.defaultOutputModes === undefined
      ? "filled"
      : undefined,
    skills: skills.some((facts) => nonEmpty(facts) !== undefined) ? skills : undefined,
  });
}

function missing<T extends object>(
  of: T,
  keys: readonly (keyof T & string)[],
): readonly string[] | undefined {
  const gone = keys.filter((key) => of[key] === undefined);
  return gone.length === 0 ? undefined : gone;
}

export function fromCardV1(value: unknown): CompatCard {
  const json = asObject(value, "the A2A card");
  const capabilities = isObject(json.capabilities) ? json.capabilities : {};
  const extensions = asList(capabilities.extensions, "extensions of the card");
  const own = extensions.find((one) => isObject(one) && one.uri === CARD_EXTENSION);
  const params = isObject(own) && isObject(own.params) ? own.params : {};
  const filled = textsOrNothing(params.filled) ?? [];
  const facts = asList(params.skills, "skills of the extension");
  const said = others(json, filled);
  return defined<CompatCard>({
    name: asText(json.name, "name of the A2A card"),
    description: stringOrNothing(said.description),
    version: stringOrNothing(said.version),
    skills: asList(json.skills, "skills of the A2A card").map((skill, i) => {
      const of = facts[i];
      return fromSkillV1(skill, isObject(of) ? of : {});
    }),
    ...fromParams(params),
    extra: nonEmpty(present({
      ...others(json, [
        ...CARD_KEYS,
        ...params.modes === "filled" ? ["defaultInputModes", "defaultOutputModes"] : [],
      ]),
      supportedInterfaces: listed(
        asList(json.supportedInterfaces, "supportedInterfaces of the card").filter((one) =>
          !isObject(one) || one.protocolBinding !== P2P_BINDING || one.url !== `p2p://${params.peerId}`
        ),
      ),
      capabilities: nonEmpty(present({
        ...capabilities,
        extensions: listed(extensions.filter((one) => one !== own)),
      })),
    })),
  });
}

function listed(items: readonly JsonValue[]): readonly JsonValue[] | undefined {
  return items.length === 0 ? undefined : items;
}

function fromParams(params: JsonObject): Partial<AgentCard> {
  const signedAtMs = typeof params.signedAt === "string" ? Date.parse(params.signedAt) : NaN;
  return defined<Partial<AgentCard>>({
    protocolVersion: stringOrNothing(params.protocolVersion),
    peerId: stringOrNothing(params.peerId),
    didKey: stringOrNothing(params.didKey),
    didWeb: stringOrNothing(params.didWeb),
    didDns: stringOrNothing(params.didDns),
    supportedTransports: textsOrNothing(params.supportedTransports),
    relayAddresses: textsOrNothing(params.relayAddresses),
    verifiableCredentials: textsOrNothing(params.verifiableCredentials),
    signedAt: Number.isNaN(signedAtMs) ? undefined : new Date(signedAtMs),
  });
}
