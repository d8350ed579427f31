import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { contentDigest, isContentDigest, readSignature, signRequest } from "../../http/mod.ts";

const encoder = new TextEncoder();
const JSON_BODY = encoder.encode('{"hello": "world"}');

// The Ed25519 key and the signature of RFC 9421, sections B.1.4 and B.2.6.
const RFC_KEY = createPublicKey({
  key: Buffer.from("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=", "base64"),
  format: "der",
  type: "spki",
});
const RFC_REQUEST = {
  method: "POST",
  url: new URL("https://example.com/foo?param=Value&Pet=dog"),
  headers: new Headers({
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-length": "18",
    "signature-input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")' +
      ';created=1618884473;keyid="test-key-ed25519"',
    "signature":
      "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
  }),
};

Deno.test("readSignature() reads the Ed25519 example of RFC 9421", () => {
  const read = readSignature(RFC_REQUEST);
  assert.ok(read);
  assert.equal(read.keyId, "test-key-ed25519");
  assert.equal(read.created, 1618884473);
  assert.ok(verify(null, read.base, RFC_KEY, read.signature));
});

Deno.test("contentDigest() makes the example of RFC 9530, and isContentDigest() knows others", () => {
  assert.equal(contentDigest(JSON_BODY), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
  assert.ok(isContentDigest(contentDigest(JSON_BODY), JSON_BODY));
  const both =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
  assert.ok(isContentDigest(both, JSON_BODY));
  assert.ok(!isContentDigest(contentDigest(JSON_BODY), encoder.encode("{}")));
  assert.ok(!isContentDigest(`${contentDigest(encoder.encode("{}"))}, ${both}`, JSON_BODY));
  for (const bad of ["", "md5=:AAAA:", "sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:A:", "sha-256=:A===:"]) {
    assert.ok(!isContentDigest(bad, JSON_BODY), bad);
  }
});

const SEED = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]);
const KEY = createPrivateKey({ key: SEED, format: "der", type: "pkcs8" });
const SIGNER = {
  keyId: "did:key:z1#z1",
  sign: (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, KEY)),
};

function signed(body?: Uint8Array) {
  const request = { method: "POST", url: new URL("https://Agent.example/agent/rpc?a=b") };
  const headers = new Headers(signRequest({ ...request, body }, SIGNER, { nowMs: 1_000_000, nonce: "n" }));
  return { ...request, headers };
}

function isVerified(request: Parameters<typeof readSignature>[0]): boolean {
  const read = readSignature(request);
  return read !== undefined && verify(null, read.base, createPublicKey(KEY), read.signature);
}

Deno.test("signRequest() covers method, target, authority and the digest of the body", () => {
  const request = signed(JSON_BODY);
  const read = readSignature(request);
  assert.deepEqual(read?.components, ["@method", "@target-uri", "@authority", "content-digest"]);
  assert.deepEqual([read?.created, read?.expires, read?.nonce, read?.keyId], [
    1000,
    1060,
    "n",
    "did:key:z1#z1",
  ]);
  assert.ok(isVerified(request));
  assert.deepEqual(readSignature(signed())?.components, ["@method", "@target-uri", "@authority"]);
  assert.ok(!isVerified({ ...request, method: "PUT" }));
  assert.ok(!isVerified({ ...request, url: new URL("https://agent.example/agent/rpc?a=c") }));
  assert.ok(!isVerified({ ...request, url: new URL("https://other.example/agent/rpc?a=b") }));
  const headers = new Headers(request.headers);
  headers.set("content-digest", contentDigest(encoder.encode("{}")));
  assert.ok(!isVerified({ ...request, headers }));
});

Deno.test("readSignature() answers undefined without a signature and refuses what it cannot check", () => {
  const request = { method: "GET", url: new URL("https://agent.example/") };
  assert.equal(readSignature({ ...request, headers: new Headers() }), undefined);
  const value = "sig1=:AAAA:";
  const bad = [
    ["", value],
    ['sig1=("@method");created=1;keyid="a"', ""],
    ['sig1=("@method");created=1;keyid="a"', "sig2=:AAAA:"],
    ['sig1=("@method");keyid="a"', value],
    ['sig1=("@method");created=1', value],
    ['sig1=("@method" "@method");created=1;keyid="a"', value],
    ['sig1=("@method";req);created=1;keyid="a"', value],
    ['sig1=("x-missing");created=1;keyid="a"', value],
    ['sig1=("@unknown");created=1;keyid="a"', value],
    ['sig1=("X-Upper");created=1;keyid="a"', value],
    ['sig1=("@method");created=1;keyid="a", sig2=("@method");created=1;keyid="a"', value],
    [`sig1=("@method");created=1;keyid="${"a".repeat(5_000)}"`, value],
  ];
  for (const [input = "", signature = ""] of bad) {
    const headers = new Headers({ "signature-input": input, signature });
    assert.throws(
      () => readSignature({ ...request, headers }),
      { code: "invalid_argument" },
      input.slice(0, 80),
    );
  }
});
