import {
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from "node:crypto";
import { concat } from "../concat.ts";
import { ascii, fromHex } from "../der.ts";
import { AesGcmKey, ChaChaKey, type RecordKey } from "./dtls_record.ts";

/** Groups for the exchange of keys, the cheaper one first. */
export const GROUPS = { x25519: 29, p256: 23 } as const;

const MASTER_SECRET_BYTES = 48;
const FINISHED_BYTES = 12;

/** Cipher suites, the one that is preferred first; all WebRTC peers have the second (RFC 8827). */
export const SUITES = {
  /** TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256. */
  chaCha: 0xcca9,
  /** TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256. */
  aesGcm: 0xc02b,
} as const;
const SPKI_X25519 = fromHex("302a300506032b656e032100");

/** One side of the exchange of keys. */
export interface KeyExchange {
  publicKey: Uint8Array;
  /** What both sides come to know. Throws when `peer` is no key of the group. */
  agree(peer: Uint8Array): Uint8Array;
}

/** A fresh key of `group`. Throws `SyntaxError` for a group that is not known. */
export function createKeyExchange(group: number): KeyExchange {
  if (group === GROUPS.x25519) {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    const spki = publicKey.export({ format: "der", type: "spki" });
    return {
      publicKey: new Uint8Array(spki.subarray(SPKI_X25519.length)),
      agree: (peer) => {
        if (peer.length !== 32) throw new SyntaxError("a key of X25519 has 32 bytes");
        const key = createPublicKey({
          key: Buffer.from(concat([SPKI_X25519, peer])),
          format: "der",
          type: "spki",
        });
        const shared = new Uint8Array(diffieHellman({ privateKey, publicKey: key }));
        if (shared.every((byte) => byte === 0)) throw new SyntaxError("a key of X25519 is of small order");
        return shared;
      },
    };
  }
  if (group !== GROUPS.p256) throw new SyntaxError(`group ${group} is not known`);
  const ecdh = createECDH("prime256v1");
  return {
    publicKey: new Uint8Array(ecdh.generateKeys()),
    agree: (peer) => new Uint8Array(ecdh.computeSecret(peer)),
  };
}

/** Keys of a connection, which follow from its handshake. */
export interface Secrets {
  client: RecordKey;
  server: RecordKey;
  /** What the side that `label` names says at the end of its handshake. */
  finished(label: "client finished" | "server finished", transcript: Uint8Array): Uint8Array;
}

/** What the two sides have agreed on. */
export interface Agreement {
  suite: number;
  shared: Uint8Array;
  /** All messages up to the exchange of keys (RFC 7627). */
  transcript: Uint8Array;
  clientRandom: Uint8Array;
  serverRandom: Uint8Array;
}

/** The keys for `agreement`. */
export function deriveSecrets(agreement: Agreement): Secrets {
  const { suite, shared, transcript, clientRandom, serverRandom } = agreement;
  const master = prf(shared, "extended master secret", sha256(transcript), MASTER_SECRET_BYTES);
  const [keyBytes, ivBytes] = suite === SUITES.chaCha ? [32, 12] : [16, 4];
  const seed = concat([serverRandom, clientRandom]);
  const block = prf(master, "key expansion", seed, 2 * (keyBytes + ivBytes));
  const ivs = block.subarray(2 * keyBytes);
  const Key = suite === SUITES.chaCha ? ChaChaKey : AesGcmKey;
  return {
    client: new Key(block.subarray(0, keyBytes), ivs.subarray(0, ivBytes)),
    server: new Key(block.subarray(keyBytes, 2 * keyBytes), ivs.subarray(ivBytes)),
    finished: (label, messages) => prf(master, label, sha256(messages), FINISHED_BYTES),
  };
}

/** TLS's function for making much of a secret (RFC 5246, 5). */
export function prf(secret: Uint8Array, label: string, seed: Uint8Array, length: number): Uint8Array {
  const named = concat([ascii(label), seed]);
  const parts: Uint8Array[] = [];
  let chain = named;
  for (let made = 0; made < length; made += 32) {
    chain = hmac(secret, chain);
    parts.push(hmac(secret, concat([chain, named])));
  }
  return concat(parts).subarray(0, length);
}

/** The digest of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

function hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac("sha256", key).update(bytes).digest());
}
