import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";

/** Algorithms of RFC 9530 that are taken; the others are broken. */
const HASHES: Readonly<Record<string, string>> = { "sha-256": "sha256", "sha-512": "sha512" };

/** The value of the `Content-Digest` header of a body (RFC 9530). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/** Whether the header is about `body`: each digest of a known algorithm is right, and there is one. */
export function isContentDigest(header: string, body: Uint8Array): boolean {
  let known = 0;
  for (const [, name, base64] of header.matchAll(/(?:^|,)\s*([a-z0-9-]+)=:([A-Za-z0-9+/]+=*):/g)) {
    const hash = HASHES[name ?? ""];
    if (hash === undefined) continue;
    const right = createHash(hash).update(body).digest();
    const given = Buffer.from(base64 ?? "", "base64");
    if (given.length !== right.length || !timingSafeEqual(given, right)) return false;
    known++;
  }
  return known > 0;
}
