import type { Tool } from "@modelcontextprotocol/client";
import { fromMcpTool } from "../../sdk/compat/mod.ts";
import type { AgentCard, Skill } from "../../sdk/mod.ts";
import { safeLine, safeText } from "../network/safe_text.ts";
import type { ServerFacts } from "./server_link.ts";

/** Tools that become skills at most. */
const MAX_TOOLS = 500;
/** Tags of a tool at most: those of its hints, and what it says itself. */
const MAX_TAGS = 20;
/** Longest schema that goes on the card, in characters of JSON. */
const MAX_SCHEMA_LENGTH = 16_384;
/** Characters of all schemas on the card, which has a bound of its own. */
const MAX_SCHEMAS_LENGTH = 128 * 1024;

/** The card of an agent that is an MCP server: each tool is a skill. */
export function toProxyCard({ name, version, instructions, tools }: ServerFacts): AgentCard {
  let left = MAX_SCHEMAS_LENGTH;
  const skills = tools.slice(0, MAX_TOOLS).map((tool) => {
    const skill = toSkill(tool);
    left -= (skill.inputSchema?.length ?? 0) + (skill.outputSchema?.length ?? 0);
    if (left >= 0) return skill;
    const { inputSchema: _input, outputSchema: _output, ...rest } = skill;
    return rest;
  });
  return {
    name: safeLine(name, 100) || "MCP server",
    description: safeText(instructions, 2_000) || `The MCP server ${safeLine(name, 100)} as an agent`,
    version: safeLine(version, 50) || "1.0.0",
    skills,
  };
}

function toSkill(tool: Tool): Skill {
  const { id, name, description, tags = [], inputSchema = "", outputSchema = "" } = fromMcpTool(tool);
  const isTold = (schema: string) => schema !== "" && schema.length <= MAX_SCHEMA_LENGTH;
  return {
    id,
    name: safeLine(name ?? tool.annotations?.title ?? id, 100),
    description: safeText(description ?? "", 2_000),
    tags: ["mcp", ...tags.slice(0, MAX_TAGS).map((tag) => safeLine(tag, 100))],
    ...(isTold(inputSchema) && { inputSchema }),
    ...(isTold(outputSchema) && { outputSchema }),
  };
}
