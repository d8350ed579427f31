import { CodedError } from "../core/errors.ts";
import { decodeKey, encodeKey, peerIdFromPublicKey, publicKeyFromPeerId, shorten } from "./peer_id.ts";

/** A did:key is this, then base58btc (multibase `z`) of the key with its multicodec. https://w3c-ccg.github.io/did-key-spec/ */
const DID_KEY_PREFIX = "did:key:z";

/** `ed25519-pub`, 0xed, as a varint. */
const ED25519_MULTICODEC = Uint8Array.of(0xed, 0x01);

/** The `did:key:z6Mk…` of a peer id. Throws `invalid_argument` for what is no Ed25519 peer id. */
export function toDidKey(peerId: string): string {
  return DID_KEY_PREFIX + encodeKey(ED25519_MULTICODEC, publicKeyFromPeerId(peerId));
}

/** The peer id of an Ed25519 did:key. Throws `invalid_argument` for anything but the one form of such a DID. */
export function fromDidKey(did: string): string {
  const key = did.startsWith(DID_KEY_PREFIX)
    ? decodeKey(ED25519_MULTICODEC, did.slice(DID_KEY_PREFIX.length))
    : undefined;
  if (key !== undefined) return peerIdFromPublicKey(key);
  throw new CodedError(
    "invalid_argument",
    `Cannot read the DID ${shorten(did)}: it is no did:key of an Ed25519 key. One starts with did:key:z6Mk`,
  );
}
