import { Buffer } from "node:buffer";
import nacl from "tweetnacl";
import type { Identity } from "./identity.ts";
import { publicKeyFromPeerId } from "./peer_id.ts";
import { toX25519PrivateKey, toX25519PublicKey } from "./x25519.ts";

/** What sealing adds to the bytes: a nonce and an authenticator. */
export const BOX_OVERHEAD_BYTES = nacl.box.nonceLength + nacl.box.overheadLength;
/** Most peers whose shared key is kept; beyond that the one used longest ago goes. */
const MAX_KEPT_KEYS = 1_000;

/**
 * Seals bytes for a peer, and opens what a peer has sealed for this node: NaCl box (X25519, XSalsa20, Poly1305) behind a
 * random nonce, with the Ed25519 keys of both peer ids as X25519 keys. Who opens it knows that it is from that peer.
 */
export class PayloadBox {
  readonly #privateKey: Uint8Array;
  readonly #shared = new Map<string, Uint8Array>();

  constructor(identity: Identity) {
    this.#privateKey = toX25519PrivateKey(identity.seed);
  }

  /** @throws CodedError `invalid_argument` for what is no peer id; `RangeError` for a weak key. */
  seal(peerId: string, bytes: Uint8Array): Uint8Array {
    const nonce = nacl.randomBytes(nacl.box.nonceLength);
    return Buffer.concat([nonce, nacl.box.after(bytes, nonce, this.#sharedWith(peerId))]);
  }

  /** What the peer has sealed; undefined when it has not, or somebody has changed it. */
  open(peerId: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < BOX_OVERHEAD_BYTES) return undefined;
    const nonce = sealed.subarray(0, nacl.box.nonceLength);
    const box = sealed.subarray(nacl.box.nonceLength);
    try {
      return nacl.box.open.after(box, nonce, this.#sharedWith(peerId)) ?? undefined;
    } catch {
      return undefined; // a peer id whose key has no X25519 key
    }
  }

  #sharedWith(peerId: string): Uint8Array {
    const kept = this.#shared.get(peerId);
    this.#shared.delete(peerId);
    const shared = kept ??
      nacl.box.before(toX25519PublicKey(publicKeyFromPeerId(peerId)), this.#privateKey);
    this.#shared.set(peerId, shared);
    for (const oldest of this.#shared.keys()) {
      if (this.#shared.size <= MAX_KEPT_KEYS) break;
      this.#shared.delete(oldest);
    }
    return shared;
  }
}
