import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { toDidKey } from "./did_key.ts";
import { peerIdFromPublicKey } from "./peer_id.ts";

/** Bytes of an Ed25519 seed, which is all there is to a private key. */
export const SEED_BYTES = 32;

/** Who a node is: its Ed25519 key pair and the names that follow from it. */
export interface Identity {
  /** 32 bytes. Whoever has them is this node: never log or send them. */
  readonly seed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** `12D3KooW…` */
  readonly peerId: string;
  /** `did:key:z6Mk…` */
  readonly didKey: string;
}

/** PKCS #8 of an Ed25519 private key up to its seed (RFC 8410, section 7). */
const PKCS8_HEADER = Buffer.from("302e020100300506032b657004220420", "hex");

/** The identity of a seed of 32 bytes; `RangeError` for another length. */
export function createIdentity(seed: Uint8Array): Identity {
  if (seed.length !== SEED_BYTES) {
    throw new RangeError(`An Ed25519 seed has ${SEED_BYTES} bytes, got ${seed.length}`);
  }
  const publicKey = derivePublicKey(seed);
  const peerId = peerIdFromPublicKey(publicKey);
  return Object.freeze({ seed: seed.slice(), publicKey, peerId, didKey: toDidKey(peerId) });
}

/** The private key of a seed, for node:crypto. */
export function createSigningKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEADER, seed]), format: "der", type: "pkcs8" });
}

function derivePublicKey(seed: Uint8Array): Uint8Array {
  const spki = createPublicKey(createSigningKey(seed)).export({ format: "der", type: "spki" });
  return new Uint8Array(spki.subarray(-32)); // the key is the end of an SPKI
}
