import { equal, throws } from "node:assert/strict";
import { didKeyToPeerId, didWebToUrl, peerIdToDidKey, urlToDidWeb } from "../../sdk/mod.ts";

Deno.test("peerIdToDidKey() and didKeyToPeerId() equal the vectors of the network, both ways", () => {
  const vectors = [
    [
      "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A",
      "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c",
    ],
    [
      "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
      "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP",
    ],
  ] as const;
  for (const [peerId, did] of vectors) {
    equal(peerIdToDidKey(peerId), did);
    equal(didKeyToPeerId(did), peerId);
  }
  const bad = ["", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "did:key:z6Mk"];
  for (const one of bad) {
    throws(() => peerIdToDidKey(one), { code: "invalid_argument" });
    throws(() => didKeyToPeerId(one), { code: "invalid_argument" });
  }
  throws(() => didKeyToPeerId(`${vectors[0][1]}11`), { code: "invalid_argument" }); // longer than a key
});

Deno.test("didWebToUrl() and urlToDidWeb() lead to each other, and nowhere else", () => {
  const pairs = [
    ["did:web:example.com", "https://example.com/.well-known/did.json"],
    ["did:web:example.com%3A3000:a:b", "https://example.com:3000/a/b/did.json"],
  ] as const;
  for (const [did, url] of pairs) {
    equal(didWebToUrl(did), url);
    equal(urlToDidWeb(url), did);
  }
  for (const did of ["did:web:", "did:web:example.com:%2e%2e:x", "did:web:10.0.0.1"]) {
    throws(() => didWebToUrl(did), { code: "invalid_argument" });
  }
  for (
    const url of [
      "http://example.com/.well-known/did.json",
      "https:///did.json",
      "https://example.com/x.json",
    ]
  ) {
    throws(() => urlToDidWeb(url), { code: "invalid_argument" });
  }
});
