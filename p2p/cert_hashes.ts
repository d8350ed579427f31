import { CODE_CERTHASH, type Multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { concat } from "./concat.ts";

/** A multihash of SHA-256 begins with it; the digest follows. */
const SHA256_PREFIX = Uint8Array.of(0x12, 0x20);
const DIGEST_BYTES = 32;

/** The multihash of SHA-256 whose digest is `digest`. */
export function toMultihash(digest: Uint8Array): Uint8Array {
  return concat([SHA256_PREFIX, digest]);
}

/** The digest in a multihash of SHA-256. */
export function toDigest(multihash: Uint8Array): Uint8Array {
  return multihash.slice(SHA256_PREFIX.length);
}

/** Multihashes of the certificates that `address` allows. Kinds that cannot be checked, and what is no hash, are left out. */
export function certHashesOf(address: Multiaddr): Uint8Array[] {
  return address.getComponents().flatMap(({ code, value }) => {
    if (code !== CODE_CERTHASH || value === undefined) return [];
    const hash = decode(value);
    const isSha256 = hash?.length === SHA256_PREFIX.length + DIGEST_BYTES &&
      SHA256_PREFIX.every((byte, i) => hash[i] === byte);
    return isSha256 ? [hash] : [];
  });
}

/** The bytes of a text that a multiaddr takes as it is; undefined for what is none in base64url. */
function decode(value: string): Uint8Array | undefined {
  try {
    return base64url.decode(value);
  } catch {
    return undefined;
  }
}
