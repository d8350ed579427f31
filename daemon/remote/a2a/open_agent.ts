import type { AgentCard } from "@a2a-js/sdk";
import { DefaultAgentCardResolver } from "@a2a-js/sdk/client";
import type { JsonObject } from "../../../core/json.ts";
import type { FoundCard } from "../card_lookup.ts";
import type { RemoteAgent } from "../remote_agent.ts";
import { type A2aAgentDeps, type A2aAgentOptions, openA2aAgent } from "./a2a_agent.ts";
import { GuessedAgent } from "./guessed_agent.ts";
import { LegacyAgent } from "./legacy_agent.ts";

/**
 * The agent that a card describes, or that is at `url` when it shows none.
 * @throws CodedError `unimplemented` when it offers nothing that this node speaks.
 */
export async function openAgent(
  url: URL,
  card: FoundCard | undefined,
  deps: A2aAgentDeps & A2aAgentOptions,
): Promise<RemoteAgent> {
  if (card === undefined) return new GuessedAgent(url, deps);
  if (isLegacyCard(card.json)) {
    const endpoint = typeof card.json.url === "string" ? URL.parse(card.json.url, card.url) : null;
    // Cards of that network name the address they listen on, which is often not where they were found.
    const at = endpoint?.origin === url.origin ? endpoint : withoutCardPath(url);
    return new LegacyAgent(at, deps, deps);
  }
  const resolver = new DefaultAgentCardResolver({ legacyCompat: { enabled: true } });
  const parsed: AgentCard = resolver.normalizeAgentCard(card.json);
  return await openA2aAgent(parsed, { ...deps, cardUrl: card.url }, deps);
}

/** The flat shape of the existing network: snake_case, and no word on how the agent is spoken to. */
function isLegacyCard(json: JsonObject): boolean {
  return json.supportedInterfaces === undefined && json.protocolVersion === undefined &&
    json.capabilities === undefined && "protocol_version" in json;
}

function withoutCardPath(url: URL): URL {
  return new URL(url.href.replace(/\.well-known\/[^/]*$/, ""));
}
