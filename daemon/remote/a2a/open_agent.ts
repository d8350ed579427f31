import type { AgentCard } from "@a2a-js/sdk";
import { DefaultAgentCardResolver } from "@a2a-js/sdk/client";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";
import type { SafeFetch } from "../../../http/mod.ts";
import type { FoundCard } from "../card_lookup.ts";
import type { RemoteAgent, RemoteCard } from "../remote_agent.ts";
import { type A2aAgentOptions, openA2aAgent } from "./a2a_agent.ts";
import { GuessedAgent } from "./guessed_agent.ts";
import { LegacyAgent } from "./legacy_agent.ts";

/**
 * The agent that a card describes, or that is at `url` when it shows none.
 * @throws CodedError `unimplemented` when it offers nothing that this node speaks.
 */
export async function openAgent(
  url: URL,
  card: FoundCard | undefined,
  deps: { safeFetch: SafeFetch } & A2aAgentOptions,
): Promise<{ agent: RemoteAgent; card: RemoteCard | undefined }> {
  if (card === undefined) return { agent: new GuessedAgent(url, deps), card: undefined };
  const description = toRemoteCard(card.json);
  if (isLegacyCard(card.json)) {
    const endpoint = typeof card.json.url === "string" ? URL.parse(card.json.url, card.url) : null;
    // Cards of that network name the address they listen on, which is often not where they were found.
    const at = endpoint?.origin === url.origin ? endpoint : withoutCardPath(url);
    return { agent: new LegacyAgent(at, deps, deps), card: description };
  }
  const resolver = new DefaultAgentCardResolver({ legacyCompat: { enabled: true } });
  const parsed: AgentCard = resolver.normalizeAgentCard(card.json);
  return {
    agent: await openA2aAgent(parsed, { safeFetch: deps.safeFetch, cardUrl: card.url }, deps),
    card: description,
  };
}

/** The flat shape of the existing network: snake_case, and no word on how the agent is spoken to. */
function isLegacyCard(json: JsonObject): boolean {
  return json.supportedInterfaces === undefined && json.protocolVersion === undefined &&
    json.capabilities === undefined && "protocol_version" in json;
}

function withoutCardPath(url: URL): URL {
  return new URL(url.href.replace(/\.well-known\/[^/]*$/, ""));
}

function toRemoteCard(json: JsonObject): RemoteCard {
  const skills = Array.isArray(json.skills) ? json.skills.filter(isJsonObject) : [];
  return {
    name: text(json.name),
    description: text(json.description),
    version: text(json.version),
    skills: skills.map((skill) => ({
      id: text(skill.id),
      name: text(skill.name),
      description: text(skill.description),
      tags: Array.isArray(skill.tags) ? skill.tags.filter((tag) => typeof tag === "string") : [],
    })),
  };
}

function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
