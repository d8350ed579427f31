import { equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createIdentity, signBytes, signFor, verifyBytes, verifyFor } from "../../identity/mod.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const bytes = new TextEncoder().encode("content");

Deno.test("signBytes() equals RFC 8032, section 7.1, tests 1 to 3", () => {
  const vectors: [string, string, string][] = [
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
  ];
  for (const [seed, message, signature] of vectors) {
    const identity = createIdentity(Buffer.from(seed, "hex"));
    const signed = signBytes(identity, Buffer.from(message, "hex"));
    equal(Buffer.from(signed).toString("hex"), signature);
    equal(verifyBytes(identity.publicKey, Buffer.from(message, "hex"), signed), true);
  }
});

Deno.test("verifyBytes() answers false for what does not fit, whatever it is", () => {
  const signature = signBytes(me, bytes);
  equal(verifyBytes(me.publicKey, bytes.with(0, 1), signature), false);
  equal(verifyBytes(me.publicKey, bytes, signature.with(3, (signature[3] ?? 0) ^ 1)), false);
  equal(verifyBytes(me.publicKey, bytes, signature.subarray(1)), false);
  equal(verifyBytes(me.publicKey.subarray(1), bytes, signature), false);
  equal(verifyBytes(new Uint8Array(32).fill(0xff), bytes, signature), false);
});

Deno.test("verifyBytes() refuses keys of small order, under which anything is signed", () => {
  const forged = new Uint8Array(64).with(0, 1);
  equal(verifyBytes(new Uint8Array(32).with(0, 1), bytes, forged), false);
  equal(verifyBytes(new Uint8Array(32).with(0, 1).with(31, 0x80), bytes, forged), false);
  equal(verifyBytes(new Uint8Array(32).fill(0xff).with(0, 0xee).with(31, 0x7f), bytes, forged), false);
});

Deno.test("verifyFor() takes a signature for its own purpose alone", () => {
  const { publicKey } = me;
  const signature = signFor("card", me, bytes);
  equal(verifyFor("card", { publicKey, signature }, bytes), true);
  equal(verifyFor("registry-record", { publicKey, signature }, bytes), false);
  equal(verifyBytes(publicKey, bytes, signature), false);
});
