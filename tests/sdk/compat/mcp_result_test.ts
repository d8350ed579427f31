import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import assert from "node:assert/strict";
import { fromMcpResult, type JsonObject, type McpAnswer, toMcpResult } from "../../../sdk/compat/mod.ts";
import { Generator } from "./generated.ts";
import { sent } from "./samples.ts";

/** Everything that a tool can answer by the revisions of MCP in use. */
const RESULT = {
  content: [
    { type: "text", text: "plain" },
    {
      type: "text",
      text: "for people",
      annotations: { audience: ["user"], priority: 0.5, lastModified: "2026-01-01T00:00:00Z" },
      _meta: { "example.com/x": 1 },
    },
    { type: "image", data: "AAEC", mimeType: "image/png" },
    { type: "audio", data: "/w==", mimeType: "application/ogg", annotations: { priority: 1 } },
    {
      type: "resource_link",
      uri: "file:///a.txt",
      name: "a.txt",
      title: "A",
      description: "the file",
      mimeType: "text/plain",
      size: 3,
      icons: [{ src: "https://x.example/i.png" }],
    },
    { type: "resource_link", uri: "file:///b", name: "b" },
    {
      type: "resource",
      resource: { uri: "file:///c.md", mimeType: "text/markdown", text: "# C", _meta: { v: 1 } },
      annotations: { audience: ["assistant"] },
    },
    { type: "resource", resource: { uri: "file:///d/e.bin", blob: "AP8=" } },
  ],
  structuredContent: { rows: [1, null, { a: "b" }] },
  _meta: { "example.com/trace": "t" },
};

Deno.test("fromMcpResult() and toMcpResult() lose nothing of what a tool answers", () => {
  const { structuredContent: _, ...unstructured } = RESULT;
  const results: JsonObject[] = [
    RESULT,
    unstructured,
    { content: [] },
    { content: [], structuredContent: {} },
    { content: [{ type: "text", text: "" }] },
    { content: [{ type: "text", text: '{"a":1}' }], structuredContent: { a: 1 } },
    { content: [{ type: "text", text: "no paper" }], isError: true },
    {
      content: [{ type: "image", data: "AAEC", mimeType: "image/png" }],
      isError: true,
      structuredContent: { code: 7 },
    },
    { content: [], structuredContent: [1, 2] },
    { content: [], structuredContent: null },
    { content: [{ type: "hologram", beam: { x: 1 }, _meta: { a: 1 } }], resultType: "complete" },
    { content: [], isError: false },
  ];
  for (const result of results) {
    assert.deepEqual(toMcpResult(sentOverNetwork(fromMcpResult(result))), result, JSON.stringify(result));
  }
  assert.deepEqual(CallToolResultSchema.parse(toMcpResult(fromMcpResult(RESULT))), RESULT);
});

/** Without what parts keep to themselves on their way over the network. */
function sentOverNetwork({ artifacts, ...rest }: McpAnswer): McpAnswer {
  return {
    ...rest,
    artifacts: artifacts.map(({ parts, ...artifact }) => ({
      ...artifact,
      parts: parts.map(({ extra, metadata, ...part }) => {
        assert.equal(extra, undefined);
        // The network keeps no order of metadata.
        return {
          ...(metadata && { metadata: Object.fromEntries(Object.entries(metadata).reverse()) }),
          ...part,
        };
      }),
    })),
  };
}

Deno.test("fromMcpResult() gives each block as the part that an agent would send", () => {
  const { artifacts: [artifact], error } = fromMcpResult(RESULT);
  assert.deepEqual(artifact?.parts.map(({ metadata: _, ...part }) => part), [
    { text: "plain" },
    { text: "for people" },
    { raw: new Uint8Array([0, 1, 2]), mediaType: "image/png" },
    { raw: new Uint8Array([255]), mediaType: "application/ogg" },
    { url: "file:///a.txt", filename: "a.txt", mediaType: "text/plain" },
    { url: "file:///b", filename: "b" },
    { text: "# C", mediaType: "text/markdown" },
    { raw: new Uint8Array([0, 255]), filename: "e.bin" },
    { data: RESULT.structuredContent, mediaType: "application/json" },
  ]);
  assert.equal(artifact?.parts[7]?.metadata?.uri, "file:///d/e.bin");
  assert.equal(artifact?.parts[0]?.metadata, undefined);
  assert.equal(error, undefined);
  assert.equal(
    fromMcpResult({ content: [{ type: "text", text: "no paper" }], isError: true }).error,
    "no paper",
  );
});

Deno.test("toMcpResult() gives data of one part as structured content and as text", () => {
  const result = toMcpResult({ artifacts: [{ parts: [{ text: "see" }, { data: { n: 1 } }] }] });
  assert.deepEqual(result.structuredContent, { n: 1 });
  assert.equal((result.content as { text: string }[])[1]?.text, '{"n":1}');
  const two = toMcpResult({ artifacts: [{ parts: [{ data: { n: 1 } }, { data: { n: 2 } }] }] });
  assert.equal(two.structuredContent, undefined);
  assert.deepEqual((two.content as { text: string }[]).map(({ text }) => text), ['{"n":1}', '{"n":2}']);
  assert.deepEqual(toMcpResult({ artifacts: [], error: "no paper" }), {
    content: [{ type: "text", text: "no paper" }],
    isError: true,
    _meta: { "agentanycast.artifacts": [] },
  });
});

Deno.test("toMcpResult() and fromMcpResult() lose nothing of any results, and write what the official SDK takes", () => {
  for (let seed = 0; seed < 100; seed++) {
    const g = new Generator(seed);
    const answer: McpAnswer = {
      artifacts: g.list(g.artifact),
      ...g.maybe("error", g.text),
      ...g.maybe("extra", () => ({ resultType: "complete", _meta: { a: 1 } })),
    };
    const json = sent(toMcpResult(answer));
    assert.deepEqual(
      fromMcpResult(json),
      answer,
      `seed ${seed}\n${Deno.inspect([answer, json], { depth: 9 })}`,
    );
    assert.equal(CallToolResultSchema.safeParse(json).error, undefined, `seed ${seed}`);
  }
});

Deno.test("fromMcpResult() and toMcpResult() refuse what is malformed", () => {
  const blocks = [
    null,
    7,
    { type: "text" },
    { type: "image", data: "!", mimeType: "image/png" },
    { type: "image" },
    {
      type: "resource",
    },
    { type: "resource", resource: { text: "x" } },
    { type: "resource_link", name: "x" },
  ];
  for (const value of [null, [], { content: {} }, ...blocks.map((block) => ({ content: [block] }))]) {
    assert.throws(() => fromMcpResult(value), { code: "invalid_argument" }, JSON.stringify(value));
  }
  assert.throws(() => toMcpResult({ artifacts: [{ parts: [{ text: "a", url: "b" }] }] }), TypeError);
});
