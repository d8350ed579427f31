import { p256 } from "@noble/curves/nist.js";
import { hkdfSync } from "node:crypto";
import { sha256 } from "multiformats/hashes/sha2";
import { concat } from "../concat.ts";
import { ascii, bitString, der, fromHex, SEQUENCE, toPem } from "../der.ts";

/** A certificate is presented for so long. */
const PERIOD_MS = 12 * 24 * 3_600_000;
/** And is valid for so much longer at both ends, for clocks that go wrong: together less than the 14 days of browsers. */
const SLACK_MS = 23 * 3_600_000;
/** Bytes from which a key is made, enough that none is likelier than another. */
const KEY_SEED_BYTES = 48;

/** DER of the parts that never change (RFC 5280, RFC 5480). */
const VERSION_3 = fromHex("a003020102");
const ECDSA_SHA256 = fromHex("300a06082a8648ce3d040302");
const EC_P256 = fromHex("301306072a8648ce3d020106082a8648ce3d030107");
const COMMON_NAME = fromHex("0603550403");
const SUBJECT_ALT_NAME = fromHex("0603551d11");
const VERSION_1_KEY = fromHex("020101");
const VERSION_0 = fromHex("020100");

/** What a WebTransport listener proves itself with, in PEM, and the multihash by which it is known. */
export interface WebTransportCertificate {
  key: string;
  cert: string;
  hash: Uint8Array;
}

/** The certificates around a moment. */
export interface WebTransportCertificates {
  /** Which period it is; grows by one with each change. */
  period: number;
  current: WebTransportCertificate;
  /** Hashes that addresses carry: of the current and the next certificate. */
  announced: Uint8Array[];
  /** Hashes that the listener vouches for in the handshake: the announced ones and the one before. */
  vouched: Uint8Array[];
}

/**
 * The certificates of the node with this seed at `nowMs` (milliseconds since the epoch). They are made from seed and time
 * alone, so an address stays good over a restart.
 */
export async function certificatesAt(seed: Uint8Array, nowMs: number): Promise<WebTransportCertificates> {
  const period = Math.floor(nowMs / PERIOD_MS);
  const [previous, current, next] = await Promise.all([
    createCertificate(seed, period - 1),
    createCertificate(seed, period),
    createCertificate(seed, period + 1),
  ]);
  const announced = [current.hash, next.hash];
  return { period, current, announced, vouched: [previous.hash, ...announced] };
}

/** Which period it is at `nowMs`. */
export function periodAt(nowMs: number): number {
  return Math.floor(nowMs / PERIOD_MS);
}

async function createCertificate(seed: Uint8Array, period: number): Promise<WebTransportCertificate> {
  const info = `agentanycast webtransport certificate ${period}`;
  const keySeed = new Uint8Array(hkdfSync("sha256", seed, new Uint8Array(), info, KEY_SEED_BYTES));
  const secretKey = p256.utils.randomSecretKey(keySeed);
  const publicKey = bitString(p256.getPublicKey(secretKey, false));
  const body = toBeSigned(publicKey, period);
  // RFC 6979: the same each time.
  const signature = p256.sign(body, secretKey, { format: "der", lowS: false });
  const certificate = der(SEQUENCE, body, ECDSA_SHA256, bitString(signature));
  const inner = der(SEQUENCE, VERSION_1_KEY, der(0x04, secretKey), der(0xa1, publicKey));
  return {
    key: toPem("PRIVATE KEY", der(SEQUENCE, VERSION_0, EC_P256, der(0x04, inner))),
    cert: toPem("CERTIFICATE", certificate),
    hash: (await sha256.digest(certificate)).bytes,
  };
}

function toBeSigned(publicKey: Uint8Array, period: number): Uint8Array {
  const utf8 = ascii("agentanycast");
  const name = der(SEQUENCE, der(0x31, der(SEQUENCE, COMMON_NAME, der(0x0c, utf8))));
  const validity = der(
    SEQUENCE,
    time(period * PERIOD_MS - SLACK_MS),
    time((period + 1) * PERIOD_MS + SLACK_MS),
  );
  const altName = der(SEQUENCE, SUBJECT_ALT_NAME, der(0x04, der(SEQUENCE, der(0x82, utf8))));
  return der(
    SEQUENCE,
    VERSION_3,
    serial(period),
    ECDSA_SHA256,
    name,
    validity,
    name,
    der(SEQUENCE, EC_P256, publicKey),
    der(0xa3, der(SEQUENCE, altName)),
  );
}

/** Positive, and another one for each period. */
function serial(period: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 1;
  new DataView(bytes.buffer).setUint32(1, period);
  return der(0x02, bytes);
}

/** UTCTime, good until 2049. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, "").slice(2, 14);
  return der(0x17, concat([ascii(digits), ascii("Z")]));
}
