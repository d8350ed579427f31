import { deepEqual, equal, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import {
  createDidDocument,
  createIdentity,
  didDnsName,
  didKeysOfTxt,
  didWebToUrl,
  isDid,
  isDidKey,
  keysOfDocument,
  parseDid,
  publicKeyFromPeerId,
  resolveDidKey,
  thumbprintOf,
  toX25519PrivateKey,
  toX25519PublicKey,
  urlToDidWeb,
} from "../../identity/mod.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const other = createIdentity(new Uint8Array(32).fill(2));
const REFUSED = { code: "invalid_argument" };

Deno.test("parseDid() takes DIDs of the methods that are resolved, and nothing else", () => {
  deepEqual(parseDid("did:web:example.com%3A8443:a"), { method: "web", id: "example.com%3A8443:a" });
  deepEqual(parseDid("did:dns:example.com"), { method: "dns", id: "example.com" });
  for (
    const bad of [
      "",
      "did:web:",
      "did:web:a:",
      "did:web:a/b",
      "did:web:a#k",
      "did:web:a?b",
      "did:foo:a",
      "DID:web:a",
      "did:web:a%2",
    ]
  ) {
    throws(() => parseDid(bad), REFUSED, bad);
    equal(isDid(bad), false, bad);
  }
  throws(() => parseDid(`did:web:${"a".repeat(2000)}`), REFUSED);
});

Deno.test("didWebToUrl() finds the document at the host, at a port and in folders, and urlToDidWeb() the way back", () => {
  const pairs = [
    ["did:web:example.com", "https://example.com/.well-known/did.json"],
    ["did:web:example.com%3A8443", "https://example.com:8443/.well-known/did.json"],
    ["did:web:example.com:agents:my-agent", "https://example.com/agents/my-agent/did.json"],
    ["did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"],
    ["did:web:localhost%3A8443", "https://localhost:8443/.well-known/did.json"],
    ["did:web:example.com:.well-known", "https://example.com/.well-known/did.json"],
  ] as const;
  for (const [did, url] of pairs) equal(didWebToUrl(did), url);
  for (const [did, url] of pairs.slice(0, -1)) equal(urlToDidWeb(url), did);
  equal(didWebToUrl("did:wba:example.com:a:e1_x"), "https://example.com/a/e1_x/did.json");
});

Deno.test("didWebToUrl() refuses addresses, traversal and what changes its meaning when it is decoded", () => {
  const bad = [
    "did:web:127.0.0.1",
    "did:web:2130706433",
    "did:web:0x7f.1",
    "did:web:%5B%3A%3A1%5D",
    "did:web:user%40example.com",
    "did:web:example.com%2Fevil",
    "did:web:example.com%3A99999",
    "did:web:example.com%3A0",
    "did:web:example.com:..:secret",
    "did:web:example.com:%2E%2E:secret",
    "did:web:example.com:%2e:secret",
    "did:web:example.com:a%2Fb",
    "did:web:example.com:a%5Cb",
    "did:web:example.com:a%00b",
    "did:web:example.com:a%3Fb",
    "did:web:example.com:a%23b",
    "did:web:example.com:%252e%252e",
    "did:web:example.com:%ff",
    "did:web:example.com::a",
    "did:web:.example.com",
    "did:web:example..com",
    "did:key:example.com",
  ];
  for (const did of bad) throws(() => didWebToUrl(did), REFUSED, did);
});

Deno.test("urlToDidWeb() refuses URLs at which no did:web is", () => {
  const bad = [
    "",
    "http://example.com/.well-known/did.json",
    "https://example.com/did.json",
    "https://example.com/a/other.json",
    "https://example.com/a//did.json",
    "https://10.0.0.1/.well-known/did.json",
    "https://u:p@example.com/.well-known/did.json",
    "https://example.com/a/did.json?x",
    "https://example.com/a/did.json#x",
  ];
  for (const url of bad) throws(() => urlToDidWeb(url), REFUSED, url);
});

Deno.test("didDnsName() takes domains only", () => {
  equal(didDnsName("did:dns:Example.com"), "_did.example.com");
  for (
    const bad of [
      "did:dns:com",
      "did:dns:10.0.0.1",
      "did:dns:a:b",
      "did:dns:a%20b.com",
      "did:web:example.com",
    ]
  ) {
    throws(() => didDnsName(bad), REFUSED, bad);
  }
});

Deno.test("didKeysOfTxt() takes both forms of record once, and leaves out the rest", () => {
  const records = [
    `did=${me.didKey}`,
    ` ${other.didKey} `,
    me.didKey,
    "v=spf1 -all",
    "did=did:key:z6Mkbad",
    "did=did:web:a.b",
  ];
  deepEqual(didKeysOfTxt(records), [me.didKey, other.didKey]);
});

Deno.test("isDidKey() takes Ed25519 keys in their one form only", () => {
  equal(isDidKey(me.didKey), true);
  for (
    const bad of [
      `${me.didKey}1`,
      me.didKey.slice(0, -1),
      "did:key:",
      "did:key:z6LSj72tK8brWgZja8NLRwPigth2T9QRiG1uH9oKZuKjdh9p",
    ]
  ) {
    equal(isDidKey(bad), false, bad);
  }
});

Deno.test("createDidDocument() of a did:key has the key for agreement that the method's document names", () => {
  const did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
  const publicKey = resolveDidKey(did).keys[0]!.publicKey;
  const document = createDidDocument(did, { publicKeys: [publicKey] });
  const agreement = "z6LSj72tK8brWgZja8NLRwPigth2T9QRiG1uH9oKZuKjdh9p";
  deepEqual(document.keyAgreement, [
    { id: `${did}#${agreement}`, type: "Multikey", controller: did, publicKeyMultibase: agreement },
  ]);
  deepEqual(keysOfDocument(did, document), resolveDidKey(did).keys);
});

Deno.test("toX25519PublicKey() and toX25519PrivateKey() belong together, and to no weak key", () => {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const jwk = privateKey.export({ format: "jwk" });
  equal(publicKey.export({ format: "jwk" }).x, jwk.x);
  const mine = toX25519PrivateKey(me.seed);
  deepEqual([mine[0]! & 7, mine[31]! & 192], [0, 64]);
  throws(() => toX25519PublicKey(new Uint8Array(32).with(0, 1)), RangeError);
  throws(() => toX25519PublicKey(new Uint8Array(31)), RangeError);
  throws(() => toX25519PublicKey(new Uint8Array(32).fill(0xff)), RangeError);
});

Deno.test("keysOfDocument() reads the forms of Ed25519 keys that are in use, each for its purposes", () => {
  const did = "did:web:example.com";
  const multibase = me.didKey.slice("did:key:".length);
  const x = Buffer.from(other.publicKey).toString("base64url");
  const document = {
    id: did,
    verificationMethod: [
      { id: "#a", type: "Ed25519VerificationKey2020", controller: did, publicKeyMultibase: multibase },
      {
        id: `${did}#b`,
        type: "JsonWebKey2020",
        controller: did,
        publicKeyJwk: { kty: "OKP", crv: "Ed25519", x },
      },
      { id: `${did}#c`, type: "Multikey", controller: "did:web:evil.example", publicKeyMultibase: multibase },
      { id: "did:web:evil.example#d", type: "Multikey", controller: did, publicKeyMultibase: multibase },
      { id: "#e", type: "EcdsaSecp256k1VerificationKey2019", controller: did, publicKeyMultibase: multibase },
      { id: "#f", type: "Multikey", publicKeyMultibase: "z6LSj72tK8brWgZja8NLRwPigth2T9QRiG1uH9oKZuKjdh9p" },
      "#a",
    ],
    assertionMethod: ["#a", `${did}#b`, "#none"],
    authentication: [{ id: "#g", type: "Multikey", controller: did, publicKeyMultibase: multibase }, "#a"],
  };
  deepEqual(keysOfDocument(did, document), [
    { id: `${did}#a`, publicKey: me.publicKey, purposes: ["assertionMethod", "authentication"] },
    { id: `${did}#b`, publicKey: other.publicKey, purposes: ["assertionMethod"] },
    { id: `${did}#g`, publicKey: me.publicKey, purposes: ["authentication"] },
  ]);
  deepEqual(keysOfDocument(did, {}), []);
});

Deno.test("thumbprintOf() equals the example of RFC 8037, appendix A.3", () => {
  const key = Buffer.from("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "base64url");
  equal(thumbprintOf(key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

Deno.test("resolveDidKey() answers the key of the published vectors", () => {
  const vectors = [
    [
      "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A",
      "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c",
    ],
    [
      "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
      "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP",
    ],
    [
      "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
      "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    ],
  ] as const;
  for (const [peerId, did] of vectors) {
    const [key] = resolveDidKey(did).keys;
    deepEqual(key?.publicKey, publicKeyFromPeerId(peerId));
    equal(key?.id, `${did}#${did.slice(8)}`);
  }
});
