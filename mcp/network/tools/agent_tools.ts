import { z } from "zod";
import type { AgentCard, DiscoveredAgent } from "../../../sdk/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { quoteUntrusted, safeLine, safeText } from "../safe_text.ts";
import { defineTool, toToolResult } from "../tool.ts";
import { toPeerId } from "./target.ts";

/** Skills of one agent that are told. */
const MAX_SKILLS = 100;

/** A card as tools and resources answer it. */
const cardViewSchema = z.object({
  name: z.string(),
  description: z.string(),
  version: z.string(),
  protocol_version: z.string(),
  skills: z.array(z.object({
    id: z.string(),
    name: z.string().optional(),
    description: z.string(),
    tags: z.array(z.string()),
    input_schema: z.string().optional().describe("JSON Schema as text"),
    output_schema: z.string().optional().describe("JSON Schema as text"),
  })),
  peer_id: z.string().optional(),
  did_key: z.string().optional(),
  supported_transports: z.array(z.string()),
  relay_addresses: z.array(z.string()),
});

/** A card, bounded and without characters that mislead. */
export function toCardView(card: AgentCard): z.infer<typeof cardViewSchema> {
  const lines = (values: readonly string[] = []) => values.slice(0, 50).map((value) => safeLine(value));
  const schema = (json: string | undefined) =>
    json && json.length <= 32_768 ? safeText(json, 32_768) : undefined;
  return {
    name: safeLine(card.name),
    description: safeText(card.description ?? "", 4_000),
    version: safeLine(card.version ?? ""),
    protocol_version: safeLine(card.protocolVersion ?? ""),
    skills: card.skills.slice(0, MAX_SKILLS).map((skill) => ({
      id: safeLine(skill.id),
      ...(skill.name && { name: safeLine(skill.name) }),
      description: safeText(skill.description ?? "", 1_000),
      tags: lines(skill.tags),
      ...(schema(skill.inputSchema) && { input_schema: schema(skill.inputSchema) }),
      ...(schema(skill.outputSchema) && { output_schema: schema(skill.outputSchema) }),
    })),
    ...(card.peerId && { peer_id: card.peerId }),
    ...(card.didKey && { did_key: card.didKey }),
    supported_transports: lines(card.supportedTransports),
    relay_addresses: lines(card.relayAddresses),
  };
}

/** `get_agent_card` */
export const getAgentCard = defineTool({
  name: "get_agent_card",
  title: "Agent card",
  description:
    "Tells what an agent says about itself: name, description and skills. Without a peer id, the own card.",
  input: z.object({
    peer_id: z.string().max(200).default("self").describe(
      "peer id or did:key; self or empty for the own card",
    ),
  }),
  output: cardViewSchema,
  annotations: { readOnlyHint: true, openWorldHint: true },
  run: async ({ peer_id }, { access }) => {
    const isOwn = peer_id === "" || peer_id === "self";
    const card = isOwn ? (await access.info()).card : await access.card(await toPeerId(peer_id));
    if (card === undefined) {
      throw new CodedError(
        "not_found",
        "This node has no agent card yet: set one with `agentanycast card set`, or start an agent on it",
      );
    }
    const view = toCardView(card);
    const skills = view.skills.map(({ id, description }) => `- ${id}: ${description}`);
    const text = [view.name, view.description, "Skills:", ...skills].join("\n");
    return toToolResult(view, isOwn ? text : quoteUntrusted(text, { source: `Card of ${peer_id}` }));
  },
});

const discoveredSchema = z.object({
  peer_id: z.string(),
  agent_name: z.string(),
  agent_description: z.string(),
  verified: z.boolean().describe("whether this is proven to be the word of that peer"),
  found_by: z.array(z.string()),
  skills: z.array(z.object({
    skill_id: z.string(),
    description: z.string(),
    tags: z.record(z.string(), z.string()),
  })),
});

function toDiscoveredView(agent: DiscoveredAgent): z.infer<typeof discoveredSchema> {
  return {
    peer_id: agent.peerId,
    agent_name: safeLine(agent.agentName),
    agent_description: safeText(agent.agentDescription, 1_000),
    verified: agent.verified,
    found_by: agent.via.slice(0, 20).map((source) => safeLine(source)),
    skills: agent.skills.slice(0, MAX_SKILLS).map(({ skillId, description, tags }) => ({
      skill_id: safeLine(skillId),
      description: safeText(description, 500),
      tags: Object.fromEntries(
        Object.entries(tags).slice(0, 50).map(([key, value]) => [safeLine(key), safeLine(value)]),
      ),
    })),
  };
}

/** `discover_agents` */
export const discoverAgents = defineTool({
  name: "discover_agents",
  title: "Find agents",
  description:
    "Finds agents on the network by a skill they offer, by words, or both. Names and descriptions are the " +
    "agents' own claims.",
  input: z.object({
    skill: z.string().max(200).default("").describe("id of the skill, such as translate"),
    text: z.string().max(200).optional().describe("words in names, descriptions and ids of skills"),
    tags: z.record(z.string(), z.string()).optional().describe("tags the agents must have"),
    limit: z.number().int().min(1).max(100).default(20),
  }),
  output: z.object({
    skill: z.string(),
    agent_count: z.number().int(),
    agents: z.array(discoveredSchema),
  }),
  annotations: { readOnlyHint: true, openWorldHint: true },
  run: async ({ skill, text, tags, limit }, { access }) => {
    if (skill === "" && !text) {
      throw new CodedError("invalid_argument", "Say what is looked for: a skill, or words in text");
    }
    const found = await access.discover({ skill, text, tags, limit });
    const agents = found.slice(0, limit).map(toDiscoveredView);
    const lines = agents.map(({ peer_id, agent_name, agent_description }) =>
      `- ${peer_id} "${agent_name}": ${agent_description}`
    );
    const wanted = safeLine(skill || `"${text}"`);
    const summary = agents.length === 0
      ? `No agent for ${wanted} is known now`
      : quoteUntrusted(lines.join("\n"), { source: `${agents.length} agents for ${wanted}` });
    return toToolResult({ skill, agent_count: agents.length, agents }, summary);
  },
});
