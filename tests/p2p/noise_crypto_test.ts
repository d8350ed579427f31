import assert from "node:assert/strict";
import { defaultCrypto } from "@libp2p/noise/crypto";
import { Uint8ArrayList } from "uint8arraylist";
import { noiseCrypto } from "../../p2p/noise_crypto.ts";

const key = new Uint8Array(32).fill(1);
const nonce = new Uint8Array(12).fill(2);
const about = new Uint8Array(0);
const sealed = (length: number) =>
  defaultCrypto.chaCha20Poly1305Encrypt(new Uint8Array(length).map((_, i) => i), nonce, about, key)
    .subarray();
/** A message in two pieces, opened as libp2p asks for it. */
const open = (message: Uint8Array) => {
  const pieces = new Uint8ArrayList(message.subarray(0, 100), message.subarray(100));
  return noiseCrypto.chaCha20Poly1305Decrypt(pieces, nonce, about, key, pieces.subarray(0, -16));
};

Deno.test("chaCha20Poly1305Decrypt() opens a long message that came in pieces as one", () => {
  const opened = open(sealed(5000));
  assert.ok(opened instanceof Uint8Array);
  assert.deepEqual([...opened], [...new Uint8Array(5000).map((_, i) => i)]);
});

Deno.test("chaCha20Poly1305Decrypt() opens short messages, and long ones without a copy, as libp2p does", () => {
  assert.equal(open(sealed(200)).byteLength, 200);
  const whole = noiseCrypto.chaCha20Poly1305Decrypt(sealed(5000), nonce, about, key);
  assert.deepEqual([...whole.subarray()], [...open(sealed(5000)).subarray()]);
});

Deno.test("chaCha20Poly1305Decrypt() throws for a message of which a byte was changed", () => {
  for (const at of [0, 2500, 5000, 5015]) {
    const message = sealed(5000).slice();
    message[at]! ^= 1;
    assert.throws(() => open(message), `byte ${at}`);
  }
});
