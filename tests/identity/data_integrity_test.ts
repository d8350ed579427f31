import { deepEqual, equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { base58btc } from "multiformats/bases/base58";
import type { JsonObject } from "../../core/json.ts";
import { addProof, canonicalJson, createIdentity, findProofs } from "../../identity/mod.ts";

/** The vectors of Data Integrity EdDSA Cryptosuites v1.0, appendix B.3 (eddsa-jcs-2022). */
const W3C = {
  privateKey: "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq",
  did: "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
  createdMs: Date.UTC(2023, 1, 24, 23, 36, 38),
  unsecured: {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": { "id": "did:example:abcdefgh", "alumniOf": "The School of Examples" },
  } as JsonObject,
  canonical:
    '{"@context":["https://www.w3.org/ns/credentials/v2","https://www.w3.org/ns/credentials/examples/v2"],"credentialSubject":{"alumniOf":"The School of Examples","id":"did:example:abcdefgh"},"description":"A minimum viable example of an Alumni Credential.","id":"urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33","issuer":"https://vc.example/issuers/5678","name":"Alumni Credential","type":["VerifiableCredential","AlumniCredential"],"validFrom":"2023-01-01T00:00:00Z"}',
  proof: {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "created": "2023-02-24T23:36:38Z",
    "verificationMethod":
      "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2#z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
    "proofPurpose": "assertionMethod",
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "proofValue": "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX",
  },
  signature:
    "407cd12654b33d718ecbb99179a1506daaa849450bf3fc523cce3e1c96f8b80351da3f253d725c6f00b07c9e5448d50b3ef78012b9ab54255116d069c6dd2808",
};

const w3c = createIdentity(base58btc.decode(W3C.privateKey).slice(2));
const other = createIdentity(new Uint8Array(32).fill(2));

function isProvenBy(document: JsonObject, publicKey: Uint8Array, nowMs = 0): boolean {
  return findProofs(document).some((proof) => proof.isBy(publicKey, nowMs));
}

Deno.test("addProof() equals the W3C test vector of eddsa-jcs-2022, byte for byte", () => {
  equal(w3c.didKey, W3C.did);
  equal(canonicalJson(W3C.unsecured), W3C.canonical);
  const secured = addProof(W3C.unsecured, { identity: w3c, createdMs: W3C.createdMs });
  deepEqual(secured.proof, W3C.proof);
  equal(Buffer.from(base58btc.decode(W3C.proof.proofValue)).toString("hex"), W3C.signature);
  equal(isProvenBy(secured, w3c.publicKey), true);
  equal(isProvenBy(secured, other.publicKey), false);
});

Deno.test("findProofs() finds no right proof in a document that was changed", () => {
  const secured = addProof(W3C.unsecured, { identity: w3c, createdMs: W3C.createdMs });
  const changed: JsonObject[] = [
    { ...secured, issuer: "https://evil.example" },
    { ...secured, more: true },
    { ...secured, "@context": ["https://www.w3.org/ns/credentials/v2"] },
    { ...secured, proof: { ...W3C.proof, created: "2023-02-24T23:36:39Z" } },
    { ...secured, proof: { ...W3C.proof, verificationMethod: `${other.didKey}#k` } },
    { ...secured, proof: { ...W3C.proof, proofPurpose: "authentication" } },
    { ...secured, proof: { ...W3C.proof, expires: "2999-01-01T00:00:00Z" } },
    { ...secured, proof: { ...W3C.proof, proofValue: `${W3C.proof.proofValue}1` } },
    { ...secured, proof: { ...W3C.proof, proofValue: W3C.proof.proofValue.slice(1) } },
  ];
  for (const document of changed) equal(isProvenBy(document, w3c.publicKey), false, JSON.stringify(document));
});

Deno.test("findProofs() takes a document to whose context something was added behind what was signed", () => {
  const secured = addProof(W3C.unsecured, { identity: w3c, createdMs: W3C.createdMs });
  const context = [...W3C.unsecured["@context"] as string[], "https://more.example"];
  equal(isProvenBy({ ...secured, "@context": context }, w3c.publicKey), true);
});

Deno.test("findProofs() leaves out proofs of other kinds, chains, and all but the first eight", () => {
  const secured = addProof({ a: 1 }, { identity: w3c, createdMs: 0 });
  const { proof } = secured;
  const others = [null, "x", {}, { ...proof as JsonObject, cryptosuite: "eddsa-rdfc-2022" }, {
    ...proof as JsonObject,
    previousProof: "urn:x",
  }];
  equal(findProofs({ a: 1, proof: [...others, proof ?? null] }).length, 1);
  equal(isProvenBy({ a: 1, proof: [...others, proof ?? null] }, w3c.publicKey), true);
  equal(findProofs({ a: 1, proof: [...others, ...others, proof ?? null] }).length, 0);
  equal(findProofs({ a: 1 }).length, 0);
});

Deno.test("isBy() refuses a proof whose time is over, and one with a date that is none", () => {
  const expires = "2023-01-01T00:00:00Z";
  const secured = addProof({ a: 1 }, { identity: w3c, createdMs: 0 });
  const [proof] = findProofs({ ...secured, proof: { ...secured.proof as JsonObject, expires } });
  equal(proof?.isBy(w3c.publicKey, Date.parse(expires)), false);
  equal(
    isProvenBy(
      { ...secured, proof: { ...secured.proof as JsonObject, created: "yesterday" } },
      w3c.publicKey,
    ),
    false,
  );
});
