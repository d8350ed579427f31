import { p256 } from "@noble/curves/nist.js";
import { hkdfSync } from "node:crypto";
import { sha256 } from "multiformats/hashes/sha2";
import { ascii, bitString, der, fromHex, SEQUENCE, toPem } from "./der.ts";

/** Bytes from which a key is made, enough that none is likelier than another. */
const KEY_SEED_BYTES = 48;
const SERIAL_BYTES = 16;
const INTEGER = 0x02;

/** DER of the parts that never change (RFC 5280, RFC 5480). */
const VERSION_3 = fromHex("a003020102");
const ECDSA_SHA256 = fromHex("300a06082a8648ce3d040302");
const EC_P256 = fromHex("301306072a8648ce3d020106082a8648ce3d030107");
const COMMON_NAME = fromHex("0603550403");
const SUBJECT_ALT_NAME = fromHex("0603551d11");
const VERSION_1_KEY = fromHex("020101");
const VERSION_0 = fromHex("020100");

/** What a listener proves itself with, and the multihash by which it is known. */
export interface P256Certificate {
  /** In PEM. */
  key: string;
  /** In PEM. */
  cert: string;
  /** The certificate as TLS sends it. */
  der: Uint8Array;
  hash: Uint8Array;
}

/** What a certificate says beside its key, each in DER. */
export interface P256CertificateInit {
  /** What the key is for; another one gives another key. */
  info: string;
  notBefore: Uint8Array;
  notAfter: Uint8Array;
}

/** A self-signed certificate of ECDSA P-256, made from `seed` and `init` alone: the same each time. */
export async function createP256Certificate(
  seed: Uint8Array,
  { info, notBefore, notAfter }: P256CertificateInit,
): Promise<P256Certificate> {
  const keySeed = derive(seed, info, KEY_SEED_BYTES);
  const secretKey = p256.utils.randomSecretKey(keySeed);
  const publicKey = bitString(p256.getPublicKey(secretKey, false));
  const utf8 = ascii("agentanycast");
  const name = der(SEQUENCE, der(0x31, der(SEQUENCE, COMMON_NAME, der(0x0c, utf8))));
  const altName = der(SEQUENCE, SUBJECT_ALT_NAME, der(0x04, der(SEQUENCE, der(0x82, utf8))));
  const body = der(
    SEQUENCE,
    VERSION_3,
    der(INTEGER, serialNumber(seed, info)),
    ECDSA_SHA256,
    name,
    der(SEQUENCE, notBefore, notAfter),
    name,
    der(SEQUENCE, EC_P256, publicKey),
    der(0xa3, der(SEQUENCE, altName)),
  );
  // RFC 6979: the same each time.
  const signature = p256.sign(body, secretKey, { format: "der", lowS: false });
  const certificate = der(SEQUENCE, body, ECDSA_SHA256, bitString(signature));
  const inner = der(SEQUENCE, VERSION_1_KEY, der(0x04, secretKey), der(0xa1, publicKey));
  return {
    key: toPem("PRIVATE KEY", der(SEQUENCE, VERSION_0, EC_P256, der(0x04, inner))),
    cert: toPem("CERTIFICATE", certificate),
    der: certificate,
    hash: (await sha256.digest(certificate)).bytes,
  };
}

/** Another one for each key: Firefox refuses a second certificate with the issuer and the number of one it knows. */
function serialNumber(seed: Uint8Array, info: string): Uint8Array {
  const number = derive(seed, `${info} serial`, SERIAL_BYTES);
  // Positive, and as short as DER wants it.
  number[0] = (number[0] ?? 0) & 0x3f | 0x40;
  return number;
}

function derive(seed: Uint8Array, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", seed, new Uint8Array(), info, length));
}
