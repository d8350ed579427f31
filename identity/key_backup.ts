import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { dirname } from "node:path";
import { CodedError } from "../core/errors.ts";
import { syncFolder, writeFileDurably, writeNewFile } from "../core/write_file.ts";
import { createIdentity, createSigningKey, type Identity } from "./identity.ts";
import { encodeKeyFile, openIdentity, parseKeyFile } from "./key_file.ts";

/** How a private key is written down: as the key file has it, or as PKCS #8 in PEM, which other programs read. */
export type KeyFormat = "libp2p" | "pem";

/** Longest file that may be a key. */
const MAX_BYTES = 4_096;

/** The private key of an identity, to be kept safe. */
export function exportKey({ seed, publicKey }: Identity, format: KeyFormat): Uint8Array {
  if (format === "libp2p") return encodeKeyFile({ seed, publicKey });
  return new TextEncoder().encode(String(createSigningKey(seed).export({ format: "pem", type: "pkcs8" })));
}

/** The identity in an exported key, of any format that is read. @throws CodedError `data_loss`, `invalid_argument`. */
export function parseKey(content: Uint8Array, name: string): Identity {
  if (content.length > MAX_BYTES) throw notAKey(name, `it has more than ${MAX_BYTES} bytes`);
  const text = new TextDecoder().decode(content);
  if (!text.includes("-----BEGIN")) return parseKeyFile(content, name);
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key");
    const { d = "" } = key.export({ format: "jwk" });
    return createIdentity(Buffer.from(d, "base64url"));
  } catch (cause) {
    throw notAKey(name, "it is no Ed25519 private key in PEM without a passphrase", cause);
  }
}

/** Writes the key file at `path`, where there is none yet. @throws CodedError `already_exists`. */
export async function saveKey(path: string, identity: Identity): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeNewFile(path, encodeKeyFile(identity));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new CodedError("already_exists", `Cannot write the key to ${path}: there is a file already`, {
      cause,
    });
  }
  await syncFolder(dirname(path));
}

/**
 * Puts another key in place of the one at `path`, which stays beside it; answers where. There is a whole key at `path` at
 * every moment. @throws CodedError as `openIdentity`.
 */
export async function replaceKey(path: string, identity: Identity): Promise<string> {
  const before = await openIdentity(path);
  const kept = `${path}.${before.peerId}`;
  try {
    await Deno.link(path, kept);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error; // it was in place before
  }
  await writeFileDurably(path, encodeKeyFile(identity));
  return kept;
}

function notAKey(name: string, reason: string, cause?: unknown): CodedError {
  return new CodedError("invalid_argument", `Cannot read a key from ${name}: ${reason}`, { cause });
}
