import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Ajv } from "ajv";
import { fromOasfRecord, toA2aCard, toOasfRecord } from "../../../sdk/compat/mod.ts";
import { Generator } from "./generated.ts";
import { OASF_RECORD } from "./oasf_schema.ts";
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
  deepStrictEqual(bare.facts.rest, { locators });
  // A module that only looks like one of an agent.
  strictEqual(fromOasfRecord({ ...base, modules: [{ name: "integration/a2a", data: {} }] }).card.name, "r");
});

Deno.test("fromOasfRecord() refuses what is no record, with invalid_argument", () => {
  for (const value of [null, [], {}, { name: 7 }, { name: "x", modules: {} }, { name: "x", locators: "y" }]) {
    throws(() => fromOasfRecord(value), { code: "invalid_argument" });
  }
});

Deno.test("toOasfRecord() writes what OASF demands, for any card, in each of its versions", () => {
  for (const version of ["1.0.0", "0.8.0"] as const) {
    const isValid = new Ajv({ allErrors: true, strictRequired: false, strictTypes: false }).compile(
      OASF_RECORD[version],
    );
    for (let seed = 0; seed < 50; seed++) {
      const card = new Generator(seed).card();
      const skills = [{ name: "agent_orchestration/task_decomposition", id: 1001 }];
      const facts = { createdAt, authors: ["A"], skills, schemaVersion: version };
      const record = sent(toOasfRecord(card, facts));
      strictEqual(isValid(record), true, `seed ${seed}: ${JSON.stringify(isValid.errors)}`);
      const read = fromOasfRecord(record);
      deepStrictEqual(read.card, card, `seed ${seed}`);
      deepStrictEqual(toOasfRecord(read.card, read.facts), record, `seed ${seed}`);
    }
    // The description must be able to say no.
    strictEqual(isValid({ ...toOasfRecord(CARD, { createdAt, schemaVersion: version }), extra: 1 }), false);
  }
});

Deno.test("fromOasfRecord() and toOasfRecord() lose nothing of what others publish", () => {
  const card = toA2aCard(CARD);
  const base = {
    ...{ name: CARD.name, description: "x", version: "9", schema_version: "1.0.0", authors: ["A"] },
    created_at: "2026-05-06T07:08:09.000Z",
    domains: [{ id: 101, annotations: { a: "b" } }],
  };
  const locators = [{ type: "container_image", urls: ["ghcr.io/x"] }, {
    type: "url",
    urls: [`p2p://${CARD.peerId}`, "https://x.example"],
  }, { type: "url", urls: [CARD.didKey!] }];
  const records = [
    {
      ...base,
      skills: [{ id: 10101 }],
      locators,
      modules: [{ name: "integration/a2a", data: { card_data: card } }],
    },
    {
      ...{ ...base, schema_version: "0.8.0", skills: [], licenses: "MIT", previous_record_cid: "b" },
      locators: [{ type: "source_code", url: "https://x.example", size: 3 }, {
        type: "unspecified",
        url: `p2p://${CARD.peerId}`,
      }, { type: "unspecified", url: CARD.didKey! }],
      modules: [
        {
          ...{ name: "integration/a2a", id: 203, annotations: { a: "b" } },
          data: {
            card_data: card,
            protocol_version: "0.3.0",
            capabilities: ["streaming"],
            transports: ["grpc"],
          },
        },
        { name: "core/llm", id: 102, data: {} },
      ],
    },
    {
      ...{ ...base, schema_version: "0.7.0", skills: [], locators },
      modules: [{ name: "runtime/a2a", data: { card_data: toA2aCard(CARD, { version: "0.3" }) } }],
    },
  ];
  for (const record of records) {
    const { card, facts } = fromOasfRecord(record);
    deepStrictEqual(card, CARD);
    deepStrictEqual(toOasfRecord(card, facts), record);
  }
});
