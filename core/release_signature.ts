/**
 * The Ed25519 key that releases are signed by, in base64; undefined as long as there is no release. Who releases makes the key,
 * keeps its private half, and writes the public half here: see `docs/daemon-download.md`.
 */
export const RELEASE_KEY: string | undefined = undefined;

/** The file of a release that lists the SHA-256 of every program, as `sha256sum` writes it. */
export const CHECKSUMS_FILE = "SHA256SUMS";
/** Beside it: the Ed25519 signature of {@link signedContent}, in base64. */
export const SIGNATURE_FILE = "SHA256SUMS.sig";

/** What is signed: the version with the checksums, so that nobody can pass an old release off as a new one. */
export function signedContent(version: string, checksums: string): Uint8Array {
  return new TextEncoder().encode(`agentanycast release ${version}\n${checksums}`);
}
