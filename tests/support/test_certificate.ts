import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, sign } from "node:crypto";

/** A self-signed certificate for 127.0.0.1 with an Ed25519 key, in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  /** SHA-256 in hex. */
  readonly fingerprint: string;
}

function der(tag: number, ...contents: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(contents.map((one) => Buffer.from(one)));
  const { length } = body;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const ED25519 = der(0x30, der(0x06, Buffer.from("2b6570", "hex")));

function time(date: Date): Buffer {
  return der(0x18, date.toISOString().replace(/[-:T]|\.\d+/g, "")); // GeneralizedTime
}

/** A certificate for `commonName` that is valid for an hour and signed by its own key (RFC 5280). */
export function testCertificate(commonName: string): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const name = der(
    0x30,
    der(0x31, der(0x30, der(0x06, Buffer.from("550403", "hex")), der(0x0c, commonName))),
  );
  const address = der(0x30, der(0x87, Buffer.from([127, 0, 0, 1])));
  const alternative = der(0x30, der(0x06, Buffer.from("551d11", "hex")), der(0x04, address));
  const now = Date.now();
  const toBeSigned = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([0x10, ...crypto.getRandomValues(new Uint8Array(8))])),
    ED25519,
    name,
    der(0x30, time(new Date(now - 60_000)), time(new Date(now + 3_600_000))),
    name,
    publicKey.export({ format: "der", type: "spki" }),
    der(0xa3, der(0x30, alternative)),
  );
  const signature = sign(null, toBeSigned, privateKey);
  const certificate = der(0x30, toBeSigned, ED25519, der(0x03, Buffer.from([0]), signature));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    fingerprint: createHash("sha256").update(certificate).digest("hex"),
  };
}
