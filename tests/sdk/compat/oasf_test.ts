import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromOasfRecord, toOasfRecord } from "../../../sdk/compat/mod.ts";
import { CARD, sent } from "./samples.ts";

const createdAt = new Date("2026-05-06T07:08:09.000Z");
const FACTS = {
  authors: ["Someone <someone@example.com>"],
  createdAt,
  schemaVersion: "1.1.0",
  skills: [{ name: "natural_language_processing/natural_language_generation/summarization", id: 10202 }],
  domains: [{ name: "technology/software_engineering", id: 102 }],
  rest: {
    annotations: { team: "a" },
    modules: [{ name: "integration/mcp", id: 202, data: { name: "x" } }],
    locators: [{ type: "container_image", urls: ["docker://example.com/x"] }],
  },
};

Deno.test("toOasfRecord() and fromOasfRecord() lose nothing of a card and of its facts, in both dialects", () => {
  for (const dialect of ["1.0", "legacy"] as const) {
    const record = sent(toOasfRecord(CARD, { dialect, ...FACTS }));
    const { card, facts } = fromOasfRecord(record);
    deepStrictEqual(card, CARD, dialect);
    deepStrictEqual(facts, { dialect, ...FACTS }, dialect);
    deepStrictEqual(toOasfRecord(card, facts), record, dialect);
  }
});

Deno.test("toOasfRecord() writes the modules and locators of its dialect", () => {
  const published = toOasfRecord(CARD, { createdAt });
  const older = toOasfRecord({ ...CARD, didKey: "key:z6Mk" }, { createdAt, dialect: "legacy" });
  const [first] = published.modules as { name: string; id: number; data: { card_data: object } }[];
  strictEqual(first?.name, "integration/a2a");
  strictEqual(first?.id, 203);
  strictEqual("supportedInterfaces" in (first?.data.card_data ?? {}), true);
  strictEqual((older.modules as { id: number }[])[0]?.id, 3);
  deepStrictEqual(older.locators, [
    { type: "url", urls: [`p2p://${CARD.peerId}`] },
    { type: "url", urls: ["did:key:z6Mk"] },
  ]);
  deepStrictEqual(published.skills, [{ name: "plan" }, { name: "bare" }, { name: "schema-only" }]);
  strictEqual(published.created_at, "2026-05-06T07:08:09.000Z");
});

Deno.test("fromOasfRecord() reads what others publish: cards of 0.3, modules by number, records without a card", () => {
  const base = { name: "r", version: "v1.0.0", schema_version: "0.7.0", skills: [{ name: "a/b", id: 7 }] };
  const card_data = {
    protocolVersion: "0.3.0",
    name: "inner",
    url: "https://x.example",
    version: "2",
    skills: [],
  };
  const withCard = fromOasfRecord({ ...base, modules: [{ id: 203, data: { card_data } }] });
  deepStrictEqual([withCard.card.name, withCard.facts.version], ["inner", "v1.0.0"]);
  const locators = [{ type: "url", urls: ["p2p://12D3KooWabc"] }, {
    type: "source-code",
    url: "https://x.example",
  }];
  const bare = fromOasfRecord({ ...base, locators });
  deepStrictEqual(bare.card, {
    peerId: "12D3KooWabc",
    name: "r",
    version: "v1.0.0",
    skills: [{ id: "a/b" }],
  });
  deepStrictEqual(bare.facts.rest, { locators: [locators[1]] });
  // A module that only looks like one of an agent.
  strictEqual(fromOasfRecord({ ...base, modules: [{ name: "integration/a2a", data: {} }] }).card.name, "r");
});

Deno.test("fromOasfRecord() refuses what is no record, with invalid_argument", () => {
  for (const value of [null, [], {}, { name: 7 }, { name: "x", modules: {} }, { name: "x", locators: "y" }]) {
    throws(() => fromOasfRecord(value), { code: "invalid_argument" });
  }
});
