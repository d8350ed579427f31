import { base58btc } from "multiformats/bases/base58";
import { CodedError } from "../core/errors.ts";
import { remembering } from "../core/remembering.ts";

/** Bytes of an Ed25519 public key. */
export const PUBLIC_KEY_BYTES = 32;

/**
 * What a peer id holds before the key: an identity multihash (code 0x00) of 36 bytes, which are a libp2p `PublicKey` message
 * of type Ed25519 (field 1 = 1) with a key of 32 bytes (field 2).
 * https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
const PEER_ID_HEADER = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

/** The peer id (`12D3KooW…`) of an Ed25519 public key of 32 bytes; `RangeError` for another length. */
export function peerIdFromPublicKey(key: Uint8Array): string {
  return encodeKey(PEER_ID_HEADER, key);
}

/** The Ed25519 public key in a peer id. Throws `invalid_argument` for anything but the one form of such an id. */
export function publicKeyFromPeerId(peerId: string): Uint8Array {
  const key = keyIn(peerId);
  if (key !== undefined) return key.slice();
  throw new CodedError(
    "invalid_argument",
    `Cannot read the peer id ${
      shorten(peerId)
    }: it is no Ed25519 peer id. One starts with 12D3KooW and has 52 characters`,
  );
}

/** The key in a peer id; every envelope asks for those of the same few peers. */
const keyIn = remembering((text) => decodeKey(PEER_ID_HEADER, text), { max: 1_000 });

/** Whether `text` is a peer id that {@link publicKeyFromPeerId} takes. */
export function isPeerId(text: unknown): text is string {
  return typeof text === "string" && keyIn(text) !== undefined;
}

/** base58btc of `header` and a public key; `RangeError` for a key of another length. */
export function encodeKey(header: Uint8Array, key: Uint8Array): string {
  if (key.length !== PUBLIC_KEY_BYTES) {
    throw new RangeError(`An Ed25519 public key has ${PUBLIC_KEY_BYTES} bytes, got ${key.length}`);
  }
  const bytes = new Uint8Array(header.length + key.length);
  bytes.set(header);
  bytes.set(key, header.length);
  return base58btc.baseEncode(bytes);
}

/** The public key that {@link encodeKey} made `text` of, or undefined for any other text. */
export function decodeKey(header: Uint8Array, text: string): Uint8Array | undefined {
  if (text.length > 2 * (header.length + PUBLIC_KEY_BYTES)) return undefined; // decoding takes quadratic time
  if (!/^[1-9A-Za-z]+$/.test(text)) return undefined; // quicker than to fail: callers are asked for by such names as well
  try {
    const key = base58btc.baseDecode(text).slice(header.length);
    return key.length === PUBLIC_KEY_BYTES && encodeKey(header, key) === text ? key : undefined;
  } catch {
    return undefined; // a character outside of the alphabet
  }
}

/** `text` quoted and cut for a message. */
export function shorten(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
