import { CodedError } from "../core/errors.ts";
import { remembering } from "../core/remembering.ts";
import { decodeKey, encodeKey, peerIdFromPublicKey, publicKeyFromPeerId, shorten } from "./peer_id.ts";

/** A did:key is this, then base58btc (multibase `z`) of the key with its multicodec. https://w3c-ccg.github.io/did-key-spec/ */
const DID_KEY_PREFIX = "did:key:z";

/** `ed25519-pub`, 0xed, as a varint. */
const ED25519_MULTICODEC = Uint8Array.of(0xed, 0x01);

/** The `did:key:z6Mk…` of a peer id. Throws `invalid_argument` for what is no Ed25519 peer id. */
export const toDidKey: (peerId: string) => string = remembering(
  (peerId) => `did:key:${toMultibaseKey(publicKeyFromPeerId(peerId))}`,
  { max: 1_000 },
);

/** Whether `text` is a did:key that {@link fromDidKey} takes. */
export function isDidKey(text: string): boolean {
  return text.startsWith(DID_KEY_PREFIX) && fromMultibaseKey(text.slice("did:key:".length)) !== undefined;
}

/** An Ed25519 public key as a Multikey (`z6Mk…`). `RangeError` when it has not 32 bytes. */
export function toMultibaseKey(publicKey: Uint8Array): string {
  return `z${encodeKey(ED25519_MULTICODEC, publicKey)}`;
}

/** The Ed25519 public key in a Multikey (`z6Mk…`); undefined for any other text. */
export function fromMultibaseKey(text: string): Uint8Array | undefined {
  return text.startsWith("z") ? decodeKey(ED25519_MULTICODEC, text.slice(1)) : undefined;
}

/** The peer id of an Ed25519 did:key. Throws `invalid_argument` for anything but the one form of such a DID. */
export function fromDidKey(did: string): string {
  const key = did.startsWith(DID_KEY_PREFIX) ? fromMultibaseKey(did.slice("did:key:".length)) : undefined;
  if (key !== undefined) return peerIdFromPublicKey(key);
  throw new CodedError(
    "invalid_argument",
    `Cannot read the DID ${shorten(did)}: it is no did:key of an Ed25519 key. One starts with did:key:z6Mk`,
  );
}
