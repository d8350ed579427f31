import { Buffer } from "node:buffer";
import { CHECKSUMS_FILE, signedContent } from "../../core/release_signature.ts";
import { verifyBytes } from "../../identity/mod.ts";
import { DaemonDownloadError } from "../errors.ts";

/** A release's checksum file as it came, and who may have signed it for which version. */
export interface SignedChecksums {
  readonly checksums: string;
  /** Base64. */
  readonly signature: string;
  readonly version: string;
  /** Ed25519, base64. */
  readonly publicKey: string;
}

/** The SHA-256 in hex of `file`. Throws {@link DaemonDownloadError}: `data_loss` when the signature is wrong, `not_found` without the file. */
export function checksumOf(file: string, signed: SignedChecksums): string {
  const { checksums, signature, version, publicKey } = signed;
  const content = signedContent(version, checksums);
  if (!verifyBytes(Buffer.from(publicKey, "base64"), content, Buffer.from(signature.trim(), "base64"))) {
    throw new DaemonDownloadError(
      "data_loss",
      `Cannot trust the release: ${CHECKSUMS_FILE} is not signed for version ${version} by the key ${publicKey}. ` +
        "A mirror that signs by itself needs its key in releaseKey or AGENTANYCAST_RELEASE_KEY",
    );
  }
  for (const line of checksums.split("\n")) {
    const [, sum, name] = /^([0-9a-f]{64}) [ *](\S+)$/.exec(line.trimEnd()) ?? [];
    if (sum !== undefined && name === file) return sum;
  }
  throw new DaemonDownloadError(
    "not_found",
    `Release ${version} has no ${file}: this platform is not released for. Set daemonPath or AGENTANYCAST_BINARY to a program of your own`,
  );
}
