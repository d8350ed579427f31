import { concat } from "../concat.ts";
import { ascii, der } from "../der.ts";
import { createP256Certificate, type P256Certificate } from "../p256_certificate.ts";

/** Peers compare the hash and look at nothing else, so it may always be the same one. */
const NOT_BEFORE = der(0x17, ascii("200101000000Z"));
const NOT_AFTER = der(0x18, ascii("99991231235959Z"));

/** The certificate by which the node with this seed is known to listen; addresses carry its hash, so it never changes. */
export function listenerCertificate(seed: Uint8Array): Promise<P256Certificate> {
  return create(seed, "agentanycast webrtc certificate");
}

/** A certificate for one connection that is dialed: on the way it is readable, and must not tell who dials. */
export function dialerCertificate(): Promise<P256Certificate> {
  return create(crypto.getRandomValues(new Uint8Array(32)), "agentanycast webrtc dialer");
}

/** What Noise is bound to: both certificates' multihashes, the dialer's first. */
export function noisePrologue(dialer: Uint8Array, listener: Uint8Array): Uint8Array {
  return concat([ascii("libp2p-webrtc-noise:"), dialer, listener]);
}

function create(seed: Uint8Array, info: string): Promise<P256Certificate> {
  return createP256Certificate(seed, { info, notBefore: NOT_BEFORE, notAfter: NOT_AFTER });
}
