import { deepEqual, equal, notDeepEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import nacl from "tweetnacl";
import {
  BOX_OVERHEAD_BYTES,
  createIdentity,
  PayloadBox,
  toX25519PrivateKey,
  toX25519PublicKey,
} from "../../identity/mod.ts";

const [a, b, c] = [1, 2, 3].map((n) => createIdentity(new Uint8Array(32).fill(n))) as [
  ReturnType<typeof createIdentity>,
  ReturnType<typeof createIdentity>,
  ReturnType<typeof createIdentity>,
];
const text = new TextEncoder().encode("secret");

Deno.test("open() gives back what the peer has sealed, both ways, and the same text never looks the same", () => {
  const [boxA, boxB] = [new PayloadBox(a), new PayloadBox(b)];
  const sealed = boxA.seal(b.peerId, text);
  equal(sealed.length, text.length + BOX_OVERHEAD_BYTES);
  deepEqual(boxB.open(a.peerId, sealed), text);
  deepEqual(boxA.open(b.peerId, boxB.seal(a.peerId, text)), text);
  notDeepEqual(boxA.seal(b.peerId, text), sealed);
  deepEqual(boxB.open(a.peerId, boxA.seal(b.peerId, new Uint8Array())), new Uint8Array());
});

Deno.test("open() opens nothing that was changed, is for another, or is said to be from another", () => {
  const sealed = new PayloadBox(a).seal(b.peerId, text);
  const box = new PayloadBox(b);
  for (const at of [0, 24, sealed.length - 1]) {
    equal(box.open(a.peerId, sealed.with(at, (sealed[at] ?? 0) ^ 1)), undefined);
  }
  equal(box.open(c.peerId, sealed), undefined);
  equal(new PayloadBox(c).open(a.peerId, sealed), undefined);
  equal(box.open(a.peerId, sealed.subarray(0, 39)), undefined);
  equal(box.open(a.peerId, new Uint8Array()), undefined);
});

Deno.test("toX25519PublicKey() and toX25519PrivateKey() make a pair, as another implementation sees it", () => {
  const pair = nacl.box.keyPair.fromSecretKey(toX25519PrivateKey(a.seed));
  equal(
    Buffer.from(toX25519PublicKey(a.publicKey)).toString("hex"),
    Buffer.from(pair.publicKey).toString("hex"),
  );
});
