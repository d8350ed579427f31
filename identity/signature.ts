import { Buffer } from "node:buffer";
import { createPublicKey, sign, verify } from "node:crypto";
import { createSigningKey, type Identity } from "./identity.ts";

/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

/** SPKI of an Ed25519 public key up to the key itself (RFC 8410, section 4). */
const SPKI_HEADER = Buffer.from("302a300506032b6570032100", "hex");

/**
 * The points of small order, without their sign bit: under such a key anything is signed, for no private key belongs to it.
 * Here are 0, 1, the two of order 8, p - 1, and p and p + 1, which are 0 and 1 again.
 */
const WEAK_KEYS = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/**
 * What a signature is for. It is signed together with the content, so that a signature made for one purpose proves nothing
 * for another. Standards that say what is signed (credentials, JWS) have none.
 */
export type SignaturePurpose = "card" | "registry-record";

/** The Ed25519 signature (64 bytes) of exactly `bytes`. */
export function signBytes(identity: Identity, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, bytes, createSigningKey(identity.seed)));
}

/** Whether `signature` is that of `bytes` by the Ed25519 key of 32 bytes; never throws for what others made up. */
export function verifyBytes(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== SIGNATURE_BYTES || isWeak(publicKey)) return false;
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_HEADER, publicKey]),
      format: "der",
      type: "spki",
    });
    return verify(null, bytes, key, signature);
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}

/** The signature of `content` for one purpose; {@link verifyFor} takes it. */
export function signFor(purpose: SignaturePurpose, identity: Identity, content: Uint8Array): Uint8Array {
  return signBytes(identity, withPurpose(purpose, content));
}

/** Whether `signature` is that of `content` for this purpose. */
export function verifyFor(
  purpose: SignaturePurpose,
  { publicKey, signature }: { publicKey: Uint8Array; signature: Uint8Array },
  content: Uint8Array,
): boolean {
  return verifyBytes(publicKey, withPurpose(purpose, content), signature);
}

function isWeak(publicKey: Uint8Array): boolean {
  const y = Buffer.from(publicKey);
  y.writeUInt8(y.readUInt8(31) & 0x7f, 31);
  return WEAK_KEYS.has(y.toString("hex"));
}

/** `agentanycast <purpose> 1`, a zero byte, and the content. */
function withPurpose(purpose: SignaturePurpose, content: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`agentanycast ${purpose} 1\0`), content]);
}
