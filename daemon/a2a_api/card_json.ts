import type { AgentCard, Skill } from "../../a2a/mod.ts";
import type { JsonObject } from "../../core/json.ts";
import { type DeclaredScheme, P2P_BINDING } from "./agent_cards.ts";

/** Where an agent is served, and what its callers need. */
export interface CardPlace {
  readonly url: string;
  readonly schemes: readonly DeclaredScheme[];
  /** `host:port` of the gRPC binding. */
  readonly grpcAddress?: string;
  readonly extensions: readonly JsonObject[];
}

/** Modes of a card whose agent declares none. */
const DEFAULT_MODES = ["text/plain", "application/json", "application/octet-stream"];

/** A card as JSON of A2A 1.0, without signatures. Members that are empty or false are left out where they may be. */
export function toCardJson(card: AgentCard, place: CardPlace): JsonObject {
  const { schemes, extensions } = place;
  return {
    name: card.name,
    description: card.description || card.name,
    supportedInterfaces: interfacesOf(card, place),
    version: card.version || "1.0.0",
    capabilities: {
      streaming: true,
      pushNotifications: true,
      ...(extensions.length > 0 && { extensions }),
      ...(schemes.length > 0 && { extendedAgentCard: true }),
    },
    ...(schemes.length > 0 && {
      securitySchemes: Object.fromEntries(schemes.map(({ name, v10 }) => [name, v10])),
      securityRequirements: schemes.map(({ name }) => ({ schemes: { [name]: {} } })),
    }),
    defaultInputModes: modesOf(card.skills, "inputModes"),
    defaultOutputModes: modesOf(card.skills, "outputModes"),
    skills: card.skills.map(toSkillJson),
  };
}

function interfacesOf(card: AgentCard, { url, grpcAddress }: CardPlace): JsonObject[] {
  const http = (["1.0", "0.3"] as const).flatMap((protocolVersion) => [
    { url, protocolBinding: "JSONRPC", protocolVersion },
    { url, protocolBinding: "HTTP+JSON", protocolVersion },
    ...grpcAddress === undefined || protocolVersion !== "1.0"
      ? []
      : [{ url: grpcAddress, protocolBinding: "GRPC", protocolVersion }],
  ]);
  if (card.peerId === "") return http;
  return [...http, { url: `p2p://${card.peerId}`, protocolBinding: P2P_BINDING, protocolVersion: "1.0" }];
}

function modesOf(skills: readonly Skill[], which: "inputModes" | "outputModes"): readonly string[] {
  const declared = skills.map((skill) => skill[which]);
  if (declared.length === 0 || declared.includes(undefined)) return DEFAULT_MODES;
  return [...new Set(declared.flatMap((modes) => modes ?? []))];
}

function toSkillJson({ id, name, description, tags, examples, inputModes, outputModes }: Skill): JsonObject {
  return {
    id,
    name: name || id,
    description: description || name || id,
    tags: tags.length > 0 ? tags : [id],
    ...(examples && { examples }),
    ...(inputModes && { inputModes }),
    ...(outputModes && { outputModes }),
  };
}

/** The card with what 0.3 wants to find beside it, so that clients of both versions understand it. */
export function toMergedCardJson(card: JsonObject, { url, schemes }: CardPlace): JsonObject {
  const interfaces = [{ url, transport: "JSONRPC" }, { url, transport: "HTTP+JSON" }];
  return {
    ...card,
    protocolVersion: "0.3.0",
    url,
    preferredTransport: "JSONRPC",
    additionalInterfaces: interfaces,
    ...(schemes.length > 0 && {
      securitySchemes: Object.fromEntries(schemes.map(({ name, v10, v03 }) => [name, { ...v10, ...v03 }])),
      security: schemes.map(({ name }) => ({ [name]: [] })),
      supportsAuthenticatedExtendedCard: true,
    }),
  };
}
