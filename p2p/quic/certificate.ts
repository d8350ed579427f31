import { createPrivateKey, sign } from "node:crypto";
import { concat } from "../concat.ts";
import { ascii, bitString, der, fromHex, SEQUENCE, toPem } from "../der.ts";

/** Name in every certificate; nobody looks it up. */
export const SERVER_NAME = "agentanycast";

/** DER of the parts that never change (RFC 5280, RFC 8410). */
const VERSION_3 = fromHex("a003020102");
const SERIAL_1 = fromHex("020101");
const ED25519 = fromHex("300506032b6570");
const COMMON_NAME = fromHex("0603550403");
const SUBJECT_ALT_NAME = fromHex("0603551d11");
const PKCS8_ED25519 = fromHex("302e020100300506032b657004220420");
const SIGNATURE_BYTES = 64;

/** What a QUIC listener proves itself with, in PEM. */
export interface QuicCertificate {
  key: string;
  cert: string;
}

/**
 * The certificate of a node: self-signed with its identity key, and the same each time. So whoever knows the peer id knows
 * the only key that TLS may meet.
 */
export function createCertificate(seed: Uint8Array, publicKey: Uint8Array): QuicCertificate {
  const pkcs8 = concat([PKCS8_ED25519, seed]);
  const body = toBeSigned(publicKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return {
    key: toPem("PRIVATE KEY", pkcs8),
    cert: toPem("CERTIFICATE", signed(body, new Uint8Array(sign(null, body, key)))),
  };
}

/**
 * The trust anchor for the node with this public key, in PEM. Of an anchor TLS takes name and key alone, so the signature,
 * which only the node can make, may be empty.
 */
export function createTrustAnchor(publicKey: Uint8Array): string {
  return toPem("CERTIFICATE", signed(toBeSigned(publicKey), new Uint8Array(SIGNATURE_BYTES)));
}

function toBeSigned(publicKey: Uint8Array): Uint8Array {
  const utf8 = new TextEncoder().encode(SERVER_NAME);
  const name = der(SEQUENCE, der(0x31, der(SEQUENCE, COMMON_NAME, der(0x0c, utf8))));
  const always = der(SEQUENCE, der(0x17, ascii("200101000000Z")), der(0x18, ascii("99991231235959Z")));
  const subjectKey = der(SEQUENCE, ED25519, bitString(publicKey));
  const altName = der(SEQUENCE, SUBJECT_ALT_NAME, der(0x04, der(SEQUENCE, der(0x82, utf8))));
  return der(
    SEQUENCE,
    VERSION_3,
    SERIAL_1,
    ED25519,
    name,
    always,
    name,
    subjectKey,
    der(0xa3, der(SEQUENCE, altName)),
  );
}

function signed(body: Uint8Array, signature: Uint8Array): Uint8Array {
  return der(SEQUENCE, body, ED25519, bitString(signature));
}
