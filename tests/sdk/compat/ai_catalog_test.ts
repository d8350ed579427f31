import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  A2A_CARD_TYPE,
  type CatalogEntry,
  fromAiCatalog,
  fromCatalogEntry,
  MCP_CARD_TYPE,
  toA2aCard,
  toAiCatalog,
  toCatalogEntry,
} from "../../../sdk/compat/mod.ts";
import { CARD, sent } from "./samples.ts";

const SERVER: CatalogEntry = {
  identifier: "urn:air:example.com:mcp:weather",
  type: MCP_CARD_TYPE,
  url: "https://example.com/mcp",
  tags: ["weather"],
  updatedAt: "2026-01-01T00:00:00Z",
  rest: { publisher: { identifier: "did:web:example.com", displayName: "Example" } },
};

Deno.test("toAiCatalog() and fromAiCatalog() lose nothing, and the card is in its entry", () => {
  const catalog = {
    entries: [toCatalogEntry(CARD), SERVER],
    host: { displayName: "Example" },
    rest: { collections: [] },
  };
  const json = sent(toAiCatalog(catalog));
  strictEqual(json.specVersion, "1.0");
  const { rejected, ...read } = fromAiCatalog(json);
  deepStrictEqual(rejected, []);
  deepStrictEqual(read, catalog);
  deepStrictEqual(toAiCatalog(read), json);
  deepStrictEqual(fromCatalogEntry(read.entries[0]!), CARD);
  strictEqual(fromCatalogEntry(SERVER), undefined);
});

Deno.test("toCatalogEntry() names the agent by its peer id, and points to its card when told where it is", () => {
  const entry = toCatalogEntry(CARD, { url: "https://example.com/card.json" });
  deepStrictEqual([entry.identifier, entry.type, entry.data], [
    `urn:air:${CARD.peerId}`,
    A2A_CARD_TYPE,
    undefined,
  ]);
  strictEqual(fromCatalogEntry(entry), undefined);
  throws(() => toCatalogEntry({ name: "x", skills: [] }), {
    code: "invalid_argument",
    message: /give an identifier/,
  });
});

Deno.test("fromAiCatalog() keeps the good entries when others are bad, and tells which", () => {
  const { entries, rejected } = fromAiCatalog({
    specVersion: "1.7",
    entries: [{ ...SERVER, data: {} }, 7, { identifier: "a", mediaType: MCP_CARD_TYPE, url: "u" }, {
      url: "u",
    }],
  });
  deepStrictEqual(entries, [{ identifier: "a", type: MCP_CARD_TYPE, url: "u" }]);
  deepStrictEqual(rejected.map(({ index, error }) => [index, error.code]), [
    [0, "invalid_argument"],
    [1, "invalid_argument"],
    [3, "invalid_argument"],
  ]);
});

Deno.test("fromAiCatalog() refuses what is no catalog, or of a version it does not know", () => {
  for (const value of [null, {}, { specVersion: "1.0" }, { specVersion: "1.0", entries: {} }]) {
    throws(() => fromAiCatalog(value), { code: "invalid_argument" });
  }
  const newer = { specVersion: "1.7", entries: [] };
  deepStrictEqual(toAiCatalog(fromAiCatalog(newer)), newer);
  throws(() => fromAiCatalog({ specVersion: "2.0", entries: [] }), { code: "unimplemented" });
});

Deno.test("toAiCatalog() refuses entries that break the rules", () => {
  throws(() => toAiCatalog({ entries: [{ identifier: "a", type: "b" }] }), { code: "invalid_argument" });
  throws(() => toAiCatalog({ entries: [SERVER, SERVER] }), { code: "invalid_argument", message: /twice/ });
  strictEqual(
    (toAiCatalog({ entries: [SERVER, { ...SERVER, version: "2" }] }).entries as unknown[]).length,
    2,
  );
});

Deno.test("fromCatalogEntry() reads the entries of a directory: a module of OASF, and a catalog in a catalog", () => {
  const data = { card_data: toA2aCard(CARD), card_schema_version: "v1.0.0" };
  const leaf = { identifier: "urn:ai:org.agntcy:cid:bafy1", type: A2A_CARD_TYPE, data };
  deepStrictEqual(fromCatalogEntry(leaf), CARD);
  const nested = { specVersion: "1.0", entries: [sent({ ...SERVER }), leaf] };
  const container = { identifier: "x", type: "application/ai-catalog+json", data: nested } as CatalogEntry;
  deepStrictEqual(fromCatalogEntry(container), CARD);
});
