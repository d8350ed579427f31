import { ToolSchema } from "@modelcontextprotocol/sdk/types.js";
import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromMcpTool, mcpToolsToCard, toMcpTool } from "../../../sdk/compat/mod.ts";
import { CARD, sent } from "./samples.ts";

const TOOL = {
  name: "read_file",
  title: "Read a file",
  description: "Reads a file",
  inputSchema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  outputSchema: { type: "object", properties: { text: { type: "string" } } },
  annotations: {
    title: "Other title",
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  icons: [{ src: "https://x.example/i.png" }],
  _meta: { "example.com/x": { y: 1 } },
};

Deno.test("fromMcpTool() and toMcpTool() lose nothing of a tool", () => {
  const least = { name: "least", inputSchema: { type: "object" } };
  for (const tool of [TOOL, least, { ...least, annotations: { readOnlyHint: false, openWorldHint: true } }]) {
    deepStrictEqual(toMcpTool(sent(fromMcpTool(tool))), tool);
  }
  deepStrictEqual(fromMcpTool(least), { id: "least" });
});

Deno.test("toMcpTool() and fromMcpTool() lose nothing of a skill", () => {
  const skills = [
    ...CARD.skills.slice(0, 2),
    { id: "x", tags: ["read-only", "open-world", "mine"], inputSchema: '{"type":"object","title":"t"}' },
  ];
  for (const skill of skills) {
    const { tags = [], ...rest } = fromMcpTool(sent(toMcpTool(skill)));
    deepStrictEqual({ ...rest, ...(tags.length > 0 && { tags }) }, skill);
  }
});

Deno.test("fromMcpTool() tells the hints as tags, which travel with a card, and the schemas as text", () => {
  const skill = fromMcpTool(TOOL);
  deepStrictEqual(skill.tags, ["read-only", "not-destructive", "idempotent", "closed-world"]);
  deepStrictEqual(JSON.parse(skill.outputSchema!), TOOL.outputSchema);
  const { extra: _, ...travelled } = skill;
  deepStrictEqual(toMcpTool(travelled).annotations, {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  });
});

Deno.test("toMcpTool() writes what the official SDK of MCP takes for a tool", () => {
  for (
    const skill of [
      ...CARD.skills.filter(({ outputSchema }) => outputSchema === undefined),
      fromMcpTool(TOOL),
    ]
  ) {
    const tool = toMcpTool(skill);
    deepStrictEqual(ToolSchema.parse(tool), tool);
  }
});

Deno.test("mcpToolsToCard() makes one skill per tool", () => {
  const card = mcpToolsToCard("files", [TOOL], { version: "2.0.0" });
  deepStrictEqual([card.name, card.version, card.skills[0]?.id], ["files", "2.0.0", "read_file"]);
});

Deno.test("fromMcpTool() and toMcpTool() refuse what is malformed, with invalid_argument", () => {
  for (
    const tool of [null, {}, { name: "" }, { name: "x", inputSchema: "{}" }, { name: "x", outputSchema: [] }]
  ) {
    throws(() => fromMcpTool(tool), { code: "invalid_argument" });
  }
  for (const inputSchema of ["{", "[]", "7"]) {
    throws(() => toMcpTool({ id: "x", inputSchema }), {
      code: "invalid_argument",
      message: /input schema of x/,
    });
  }
  strictEqual(toMcpTool({ id: "x", inputSchema: "" }).inputSchema.type, "object");
});
