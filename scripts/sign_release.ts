/**
 * Signs the checksums of a release: `deno run -A scripts/sign_release.ts KEY.pem [DIR]`.
 *
 * KEY.pem is the Ed25519 key of releases (PKCS #8); DIR (default `dist`) has the `SHA256SUMS` of this version, and gets
 * `SHA256SUMS.sig`. Prints the public key, which the SDK must have. A key is made by `openssl genpkey -algorithm ed25519`.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { join } from "node:path";
import { CHECKSUMS_FILE, SIGNATURE_FILE, signedContent } from "../core/release_signature.ts";
import { VERSION } from "../core/version.ts";

/** Writes the signature of the checksums in `dir`; answers the public key in base64. */
export async function signRelease(pem: string, dir: string): Promise<string> {
  const key = createPrivateKey(pem);
  const content = signedContent(VERSION, await Deno.readTextFile(join(dir, CHECKSUMS_FILE)));
  await Deno.writeTextFile(join(dir, SIGNATURE_FILE), `${sign(null, content, key).toString("base64")}\n`);
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("base64");
}

if (import.meta.main) {
  const [keyFile, dir = "dist"] = Deno.args;
  if (keyFile === undefined) {
    console.error("Use: deno run -A scripts/sign_release.ts KEY.pem [DIR]");
    Deno.exit(2);
  }
  console.log(await signRelease(await Deno.readTextFile(keyFile), dir));
}
