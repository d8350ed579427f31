import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { dialerCertificate, listenerCertificate } from "../../p2p/webrtc/certificate.ts";
import { certificatesAt } from "../../p2p/webtransport/certificate.ts";
import { randomSeed } from "./test_host.ts";

Deno.test("no two certificates of the same issuer have the same number", async () => {
  const made = await Promise.all([
    listenerCertificate(randomSeed()),
    listenerCertificate(randomSeed()),
    dialerCertificate(),
    certificatesAt(randomSeed(), 0).then(({ current }) => current),
    certificatesAt(randomSeed(), 0).then(({ current }) => current),
  ]);
  const certificates = made.map(({ der }) => new X509Certificate(der));
  assert.equal(new Set(certificates.map(({ issuer }) => issuer)).size, 1);
  const numbers = certificates.map(({ serialNumber }) => serialNumber);
  assert.equal(new Set(numbers).size, 5);
  assert.ok(numbers.every((number) => number.length === 32));
});
