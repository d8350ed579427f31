import { AgentCard } from "@a2a-js/sdk";
import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  type A2aVersion,
  CARD_EXTENSION,
  fromA2aCard,
  fromA2aSkill,
  toA2aCard,
  toA2aSkill,
  versionOfA2aCard,
} from "../../../sdk/compat/mod.ts";
import { CARD, sent } from "./samples.ts";

const VERSIONS: readonly A2aVersion[] = ["1.0", "0.3", "legacy"];

const FOREIGN_V1 = {
  name: "Elsewhere",
  description: "An agent elsewhere",
  supportedInterfaces: [
    { url: "https://a.example/rpc", protocolBinding: "JSONRPC", protocolVersion: "1.0", tenant: "t" },
    { url: "a.example:443", protocolBinding: "GRPC", protocolVersion: "1.0" },
  ],
  provider: { organization: "Org", url: "https://org.example" },
  version: "3.0.0",
  documentationUrl: "https://a.example/docs",
  capabilities: {
    streaming: true,
    extendedAgentCard: true,
    extensions: [{ uri: "urn:example:ext", required: true, params: { x: 1 } }],
  },
  securitySchemes: {
    key: { apiKeySecurityScheme: { location: "header", name: "x-key" } },
    bearer: { httpAuthSecurityScheme: { scheme: "bearer", bearerFormat: "JWT" } },
    oidc: { openIdConnectSecurityScheme: { openIdConnectUrl: "https://id.example" } },
    mtls: { mtlsSecurityScheme: { description: "certificates" } },
    oauth: {
      oauth2SecurityScheme: {
        flows: { clientCredentials: { tokenUrl: "https://id.example/token", scopes: { read: "to read" } } },
      },
    },
  },
  securityRequirements: [{ schemes: { oauth: { list: ["read"] }, key: {} } }],
  defaultInputModes: ["text/plain"],
  defaultOutputModes: ["text/plain"],
  skills: [{
    id: "s",
    name: "S",
    description: "does S",
    tags: ["t"],
    examples: ["do S"],
    inputModes: ["text/plain"],
    securityRequirements: [{ schemes: { bearer: {} } }],
  }],
  signatures: [{ protected: "e30", signature: "c2ln" }],
  iconUrl: "https://a.example/i.png",
};

const FOREIGN_V03 = {
  protocolVersion: "0.3.0",
  name: "Older",
  description: "An agent of 0.3",
  url: "https://b.example/rpc",
  preferredTransport: "JSONRPC",
  additionalInterfaces: [
    { url: "https://b.example/rpc", transport: "JSONRPC" },
    { url: "https://b.example/rest", transport: "HTTP+JSON" },
  ],
  version: "1.2.3",
  capabilities: { streaming: true, stateTransitionHistory: true },
  supportsAuthenticatedExtendedCard: true,
  securitySchemes: {
    key: { type: "apiKey", in: "header", name: "x-key" },
    web: { type: "http", scheme: "bearer" },
  },
  security: [{ key: [] }, { web: ["a"] }],
  defaultInputModes: ["text/plain"],
  defaultOutputModes: ["text/plain"],
  skills: [{ id: "s", name: "S", description: "does S", tags: [], security: [{ key: [] }] }],
};

Deno.test("toA2aCard() and fromA2aCard() lose nothing of a card, in each version", () => {
  const bare = { name: "Bare", skills: [] };
  const half = {
    name: "Half",
    version: "1.0.0",
    skills: [{ id: "x", name: "x", description: "x", tags: [] }],
  };
  for (const version of VERSIONS) {
    for (const card of [CARD, bare, half]) {
      deepStrictEqual(
        fromA2aCard(sent(toA2aCard(card, { version })), { version }),
        card,
        `${version} ${card.name}`,
      );
    }
  }
});

Deno.test("fromA2aCard() and toA2aCard() lose nothing of a card of 1.0, also by way of each older version", () => {
  for (const version of VERSIONS) {
    const there = sent(toA2aCard(fromA2aCard(FOREIGN_V1), { version }));
    deepStrictEqual(toA2aCard(fromA2aCard(there, { version })), FOREIGN_V1, version);
  }
  deepStrictEqual(AgentCard.toJSON(AgentCard.fromJSON(FOREIGN_V1)), toA2aCard(fromA2aCard(FOREIGN_V1)));
});

Deno.test("fromA2aCard() and toA2aCard() lose nothing of a card of 0.3, and say it in the words of 1.0", () => {
  const card = fromA2aCard(FOREIGN_V03, { version: "0.3" });
  deepStrictEqual(toA2aCard(card, { version: "0.3" }), FOREIGN_V03);
  const newer = toA2aCard(card);
  deepStrictEqual(newer.supportedInterfaces, [
    { url: "https://b.example/rpc", protocolBinding: "JSONRPC", protocolVersion: "0.3" },
    { url: "https://b.example/rest", protocolBinding: "HTTP+JSON", protocolVersion: "0.3" },
  ]);
  deepStrictEqual(newer.securityRequirements, [{ schemes: { key: {} } }, {
    schemes: { web: { list: ["a"] } },
  }]);
  deepStrictEqual(AgentCard.toJSON(AgentCard.fromJSON({ ...newer })), {
    ...newer,
    skills: [{ id: "s", name: "S", description: "does S", securityRequirements: [{ schemes: { key: {} } }] }],
  });
});

Deno.test("toA2aCard() says what A2A has no member for in an extension of its own", () => {
  const { capabilities, skills, supportedInterfaces } = toA2aCard(CARD, { url: "https://me.example/a2a" });
  const [extension] =
    (capabilities as { extensions: { uri: string; params: Record<string, unknown> }[] }).extensions;
  strictEqual(extension?.uri, CARD_EXTENSION);
  deepStrictEqual(extension?.params.relayAddresses, CARD.relayAddresses);
  deepStrictEqual((skills as unknown[])[1], {
    id: "bare",
    name: "bare",
    description: "bare",
    tags: ["bare"],
  });
  deepStrictEqual((supportedInterfaces as { url: string }[]).map(({ url }) => url), [
    "https://me.example/a2a",
    `p2p://${CARD.peerId}`,
  ]);
});

Deno.test("toA2aCard() writes a legacy card that both readers of the older SDKs understand", () => {
  const card = toA2aCard(CARD, { version: "legacy", url: "https://me.example" });
  const [skill] = card.skills as Record<string, unknown>[];
  const { inputSchema } = CARD.skills[0]!;
  deepStrictEqual([skill?.inputModes, skill?.input_schema], [[inputSchema], inputSchema]);
  strictEqual((card.agentanycast as Record<string, unknown>).peer_id, CARD.peerId);
  strictEqual(card.url, "https://me.example");
  const foreign = { name: "Old", description: "x", version: "1", url: "https://old.example", skills: [] };
  deepStrictEqual(toA2aCard(fromA2aCard(foreign, { version: "legacy" }), { version: "legacy" }), foreign);
});

Deno.test("toA2aSkill() and fromA2aSkill() lose nothing that a skill alone can say", () => {
  const { inputSchema: _in, outputSchema: _out, ...skill } = CARD.skills[0]!;
  deepStrictEqual(fromA2aSkill(sent(toA2aSkill(skill))), skill);
  deepStrictEqual(
    fromA2aSkill(sent(toA2aSkill(CARD.skills[0]!, { version: "legacy" })), { version: "legacy" }),
    CARD.skills[0],
  );
  deepStrictEqual(fromA2aSkill({ id: "s", name: "Does S", inputModes: ["{}"] }, { version: "legacy" }), {
    id: "s",
    name: "Does S",
    description: "Does S",
    inputSchema: "{}",
  });
});

Deno.test("versionOfA2aCard() tells the versions apart", () => {
  for (const version of VERSIONS) strictEqual(versionOfA2aCard(toA2aCard(CARD, { version })), version);
  strictEqual(versionOfA2aCard(sent(FOREIGN_V03)), "0.3");
});

Deno.test("fromA2aCard() refuses what is no card, with invalid_argument", () => {
  for (const version of VERSIONS) {
    for (
      const json of [null, [], {}, { name: "" }, { name: "x", skills: [{}] }, { name: "x", skills: "s" }]
    ) {
      throws(() => fromA2aCard(json, { version }), { code: "invalid_argument" });
    }
  }
});
