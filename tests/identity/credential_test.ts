import { deepEqual, equal, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { base58btc } from "multiformats/bases/base58";
import type { JsonObject } from "../../core/json.ts";
import {
  createDidDocument,
  createDidResolver,
  createIdentity,
  CredentialVerifier,
  issueCredential,
  type Issuer,
  issueStatusList,
  MIN_STATUS_ENTRIES,
  type NewCredential,
  parseCredential,
  setStatus,
  signBytes,
} from "../../identity/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const issuer = createIdentity(new Uint8Array(32).fill(1));
const agent = createIdentity(new Uint8Array(32).fill(2));
const stranger = createIdentity(new Uint8Array(32).fill(3));
const DAY_MS = 86_400_000;
const LIST_URL = "https://issuer.example/credentials/status/1";

/** A verifier over documents in memory. */
function startVerifier() {
  const clock = new FakeClock();
  const documents = new Map<string, JsonObject>();
  const asked: string[] = [];
  const network = {
    fetchBytes: (url: string) => {
      asked.push(url);
      const document = documents.get(url);
      if (document === undefined) return Promise.reject(new Error(`${url} answered with 404`));
      return Promise.resolve(new TextEncoder().encode(JSON.stringify(document)));
    },
    resolveTxt: () => Promise.resolve([]),
  };
  const verifier = new CredentialVerifier({
    network,
    resolver: createDidResolver(network, { clock }),
    clock,
  });
  const verdictOf = async (credential: JsonObject, subjects?: readonly string[]) =>
    (await verifier.verify(JSON.stringify(credential), subjects && { subjects })).verdict;
  return { clock, documents, asked, verifier, verdictOf };
}

function issue(changes: Partial<NewCredential> & { by?: Issuer } = {}): JsonObject {
  const { by = { identity: issuer }, ...rest } = changes;
  return issueCredential({
    subject: agent.didKey,
    type: "AgentCapabilityCredential",
    claims: { type: "AgentCapability", capabilities: ["translate", "summarize"] },
    validFromMs: 0,
    ...rest,
  }, by);
}

Deno.test("verify() takes a credential by its issuer about its subject, and tells what it says", async () => {
  const { verifier } = startVerifier();
  const { verdict, claims } = await verifier.verify(JSON.stringify(issue()), { subjects: [agent.didKey] });
  equal(verdict, "valid");
  deepEqual([claims?.issuer, claims?.subjects, claims?.types, claims?.capabilities, claims?.legacy], [
    issuer.didKey,
    [agent.didKey],
    ["AgentCapabilityCredential"],
    ["translate", "summarize"],
    false,
  ]);
});

Deno.test("verify() finds forged, foreign, expired and early credentials out", async () => {
  const { clock, verdictOf } = startVerifier();
  const now = clock.now();
  const subjects = [agent.didKey];
  const good = issue();
  equal(await verdictOf({ ...good, credentialSubject: { id: stranger.didKey } }, subjects), "forged");
  equal(await verdictOf({ ...good, issuer: stranger.didKey }, subjects), "forged");
  equal(await verdictOf({ ...good, proof: issue({ type: "Other" }).proof }, subjects), "forged");
  equal(await verdictOf(issue({ by: { identity: stranger, did: issuer.didKey } }), subjects), "forged");
  const { proof: _, ...bare } = good;
  equal(await verdictOf(bare, subjects), "forged");
  equal(await verdictOf(issue({ subject: stranger.didKey }), subjects), "wrong_subject");
  equal(await verdictOf(issue({ validFromMs: now + DAY_MS }), subjects), "not_yet_valid");
  equal(await verdictOf(issue({ validFromMs: now - DAY_MS, validUntilMs: now }), subjects), "expired");
  equal(await verdictOf(issue({ validFromMs: now + 30_000 }), subjects), "valid"); // clocks differ
});

Deno.test("verify() takes a did:web as issuer when its document names the key that signed", async () => {
  const { clock, documents, verdictOf } = startVerifier();
  const did = "did:web:issuer.example";
  const by = { identity: issuer, did, verificationMethod: `${did}#key-1` };
  equal(await verdictOf(issue({ by })), "unverifiable");
  clock.advance(31_000);
  const url = "https://issuer.example/.well-known/did.json";
  documents.set(url, createDidDocument(did, { publicKeys: [issuer.publicKey] }));
  equal(await verdictOf(issue({ by })), "valid");
  equal(await verdictOf(issue({ by: { ...by, identity: stranger } })), "forged");
  equal(await verdictOf(issue({ by: { identity: issuer, did } })), "forged"); // by the did:key, which it does not name
});

Deno.test("verify() finds out what is revoked within a minute, and takes nothing whose list cannot be had", async () => {
  const { clock, documents, asked, verdictOf } = startVerifier();
  const status = { purpose: "revocation", index: 4711, listUrl: LIST_URL } as const;
  const credential = issue({ status });
  equal(await verdictOf(credential), "unverifiable");
  const bits = new Uint8Array(MIN_STATUS_ENTRIES / 8);
  const publish = async (by: Issuer = { identity: issuer }) =>
    void documents.set(LIST_URL, await issueStatusList({ url: LIST_URL, bits, nowMs: clock.now() }, by));
  await publish();
  equal(await verdictOf(credential), "valid");
  setStatus(bits, 4711);
  await publish();
  equal(await verdictOf(credential), "valid"); // as of a minute ago
  clock.advance(60_000);
  equal(await verdictOf(credential), "revoked");
  equal(await verdictOf(issue({ status: { ...status, index: 4712 } })), "valid");
  equal(await verdictOf(issue({ status: { ...status, index: MIN_STATUS_ENTRIES } })), "unverifiable");
  equal(asked.length, 3);
});

Deno.test("verify() takes no status list by another issuer, for another purpose or at another place", async () => {
  const { clock, documents, verdictOf } = startVerifier();
  const bits = new Uint8Array(MIN_STATUS_ENTRIES / 8);
  const nowMs = clock.now();
  const right = await issueStatusList({ url: LIST_URL, bits, nowMs }, { identity: issuer });
  const status = { purpose: "revocation", index: 1, listUrl: LIST_URL } as const;
  const lists = [
    await issueStatusList({ url: LIST_URL, bits, nowMs }, { identity: stranger }),
    await issueStatusList({ url: LIST_URL, bits, nowMs }, { identity: stranger, did: issuer.didKey }),
    await issueStatusList({ url: `${LIST_URL}1`, bits, nowMs }, { identity: issuer }),
    await issueStatusList({ url: LIST_URL, bits, nowMs: nowMs + DAY_MS }, { identity: issuer }),
    issue(),
  ];
  for (const list of lists) {
    documents.set(LIST_URL, list);
    equal(await verdictOf(issue({ status })), "unverifiable");
  }
  documents.set(LIST_URL, right);
  equal(await verdictOf(issue({ status })), "valid");
  equal(await verdictOf(issue({ status: { ...status, purpose: "suspension" } })), "unverifiable");
});

/** A credential as the existing network signs it. */
function issueLegacy(changes: JsonObject = {}): JsonObject {
  const document = {
    "@context": ["https://www.w3.org/2018/credentials/v1", "https://w3id.org/security/suites/ed2020/v1"],
    "type": ["VerifiableCredential", "AgentCapabilityCredential"],
    "issuer": issuer.didKey,
    "issuanceDate": "2023-01-01T00:00:00Z",
    "credentialSubject": { id: agent.didKey, type: "AgentCapability", capabilities: ["a<b>&c"] },
    ...changes,
  };
  const sorted = `{"@context":${JSON.stringify(document["@context"])},` +
    `"credentialSubject":{"capabilities":["a\\u003cb\\u003e\\u0026c"],"id":"${agent.didKey}","type":"AgentCapability"},` +
    `"issuanceDate":"${document.issuanceDate}","issuer":"${document.issuer}","type":${
      JSON.stringify(document.type)
    }}`;
  const signature = signBytes(issuer, Buffer.from(sorted));
  const proof = {
    type: "Ed25519Signature2020",
    created: document.issuanceDate,
    verificationMethod: `${document.issuer}#key-1`,
    proofPurpose: "assertionMethod",
    proofValue: base58btc.baseEncode(signature),
  };
  return { ...document, proof };
}

Deno.test("verify() takes a credential of the existing network and says that it is one", async () => {
  const { verifier, verdictOf } = startVerifier();
  const { verdict, claims } = await verifier.verify(JSON.stringify(issueLegacy()), {
    subjects: [agent.didKey],
  });
  deepEqual([verdict, claims?.legacy, claims?.capabilities], ["valid", true, ["a<b>&c"]]);
  equal(await verdictOf(issueLegacy(), [stranger.didKey]), "wrong_subject");
  equal(await verdictOf({ ...issueLegacy(), issuanceDate: "2023-01-02T00:00:00Z" }), "forged");
  equal(await verdictOf(issueLegacy({ issuer: "did:web:issuer.example" })), "forged");
  equal(await verdictOf(issueLegacy({ issuanceDate: "2999-01-01T00:00:00Z" })), "not_yet_valid");
});

Deno.test("parseCredential() refuses what is no credential", () => {
  const good = issue();
  const { issuer: _, ...anonymous } = good;
  let deep: JsonObject = {};
  for (let i = 0; i < 40; i++) deep = { deep };
  const bad: unknown[] = [
    [],
    { ...good, "@context": ["https://www.w3.org/ns/credentials/examples/v2"] },
    { ...good, type: ["Other"] },
    anonymous,
    { ...good, credentialSubject: "x" },
    { ...good, credentialSubject: [] },
    { ...good, validUntil: "tomorrow" },
    { ...good, validUntil: "2026-13-01T00:00:00Z" },
    { ...good, credentialStatus: { type: "Other" } },
    { ...good, deep },
    { ...good, big: "x".repeat(70_000) },
  ];
  for (const one of bad) throws(() => parseCredential(JSON.stringify(one)), { code: "invalid_argument" });
  throws(() => parseCredential("{"), { code: "invalid_argument" });
});
