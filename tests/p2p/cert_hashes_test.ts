import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { certHashesOf, toDigest, toMultihash } from "../../p2p/cert_hashes.ts";

const DIGEST = new Uint8Array(32).fill(7);

Deno.test("certHashesOf() finds the hashes of SHA-256 and leaves out what is none", () => {
  const good = base64url.encode(toMultihash(DIGEST));
  const sha512 = base64url.encode(Uint8Array.of(0x13, 0x40, ...new Uint8Array(64)));
  const short = base64url.encode(toMultihash(DIGEST.subarray(1)));
  const hashes = [good, sha512, short, "u!!!", "uEi", "z6Mk"].map((hash) => `/certhash/${hash}`).join("");
  const found = certHashesOf(multiaddr(`/ip4/192.0.2.1/udp/1/quic-v1/webtransport${hashes}`));
  assert.deepEqual(found.map(toDigest), [DIGEST]);
  assert.deepEqual(certHashesOf(multiaddr("/ip4/192.0.2.1/udp/1/webrtc-direct")), []);
});
