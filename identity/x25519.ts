import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { base58btc } from "multiformats/bases/base58";

/** The prime of Curve25519 and Ed25519. */
const P = 2n ** 255n - 19n;

/** `x25519-pub`, 0xec, as a varint. */
const X25519_MULTICODEC = Uint8Array.of(0xec, 0x01);

/**
 * The X25519 public key of an Ed25519 public key: u = (1 + y) / (1 - y) (RFC 7748, section 4.1). `RangeError` for bytes that
 * are no such key.
 */
export function toX25519PublicKey(ed25519: Uint8Array): Uint8Array {
  if (ed25519.length !== 32) {
    throw new RangeError(`An Ed25519 public key has 32 bytes, got ${ed25519.length}`);
  }
  const y = fromLittleEndian(ed25519) & (2n ** 255n - 1n); // without the sign of x
  if (y >= P || y === 1n) throw new RangeError("The bytes are no Ed25519 public key that has an X25519 key");
  return toLittleEndian(modulo((1n + y) * inverse(modulo(1n - y))));
}

/** The X25519 private key of an Ed25519 seed: the first half of its SHA-512, as RFC 8032 takes it; X25519 clamps it. */
export function toX25519PrivateKey(seed: Uint8Array): Uint8Array {
  const key = new Uint8Array(createHash("sha512").update(seed).digest().subarray(0, 32));
  key[0] = (key[0] ?? 0) & 248;
  key[31] = ((key[31] ?? 0) & 127) | 64;
  return key;
}

/** An X25519 public key as a Multikey (`z6LS…`). */
export function toX25519Multikey(publicKey: Uint8Array): string {
  return base58btc.encode(Buffer.concat([X25519_MULTICODEC, publicKey]));
}

function modulo(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

/** 1 / value, by Fermat: value to the power of p - 2. */
function inverse(value: bigint): bigint {
  let result = 1n;
  let square = value;
  for (let exponent = P - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString("hex")}`);
}

function toLittleEndian(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex")).reverse();
}
