import { concat } from "../concat.ts";
import { ascii, der } from "../der.ts";
import { createP256Certificate, type P256Certificate } from "../p256_certificate.ts";

/** A certificate is presented for so long. */
const PERIOD_MS = 12 * 24 * 3_600_000;
/** And is valid for so much longer at both ends, for clocks that go wrong: together less than the 14 days of browsers. */
const SLACK_MS = 23 * 3_600_000;

/** The certificates around a moment. */
export interface WebTransportCertificates {
  /** Which period it is; grows by one with each change. */
  period: number;
  current: P256Certificate;
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

function createCertificate(seed: Uint8Array, period: number): Promise<P256Certificate> {
  return createP256Certificate(seed, {
    info: `agentanycast webtransport certificate ${period}`,
    notBefore: time(period * PERIOD_MS - SLACK_MS),
    notAfter: time((period + 1) * PERIOD_MS + SLACK_MS),
  });
}

/** UTCTime, good until 2049. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, "").slice(2, 14);
  return der(0x17, concat([ascii(digits), ascii("Z")]));
}
