/**
 * Signs the checksums of a release.
 *
 *     deno run -A scripts/sign_release.ts KEY.pem [DIR]            signs DIR (default dist) as the official release
 *     deno run -A scripts/sign_release.ts --mirror KEY.pem [DIR]   signs it for programs that name the key themselves
 *     deno run -A scripts/sign_release.ts --public KEY.pem         prints the public half of the key
 *
 * KEY.pem is an Ed25519 key (PKCS #8), made by `openssl genpkey -algorithm ed25519 -out KEY.pem`. DIR has the programs
 * of this version and their `SHA256SUMS`, and gets `SHA256SUMS.sig`. An official release is signed by the key that the
 * SDK of this checkout checks by, `RELEASE_KEY` in `core/release_signature.ts`, or not at all: no SDK would take it.
 * Exit code: 0 done, 1 refused, 2 wrong use.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CodedError, errorMessage } from "../core/errors.ts";
import { CHECKSUMS_FILE, RELEASE_KEY, SIGNATURE_FILE, signedContent } from "../core/release_signature.ts";
import { VERSION } from "../core/version.ts";
import { sha256File } from "./compile/checksums.ts";
import { assetName, TARGETS } from "./compile/targets.ts";
import { ownHelp } from "./own_help.ts";

/** The public half of a key, in base64. Throws CodedError `invalid_argument` for what is no Ed25519 key. */
export function publicKeyOf(pem: string): string {
  const { x = "" } = createPublicKey(readKey(pem)).export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("base64");
}

/**
 * Writes the signature of the checksums in `dir`, when they are those of the files there. Throws CodedError: `failed_precondition`
 * for files that are others, and for a key that is not `trusted`.
 */
export async function signRelease(
  pem: string,
  dir: string,
  { trusted = RELEASE_KEY }: { trusted?: string | undefined } = {},
): Promise<void> {
  const publicKey = publicKeyOf(pem);
  if (publicKey !== trusted) {
    throw new CodedError(
      "failed_precondition",
      `Cannot sign the release ${VERSION}: the SDK of this checkout ${
        trusted === undefined ? "has no key yet" : `checks releases by the key ${trusted}`
      }, and this one is ${publicKey}. No SDK would take the release. Sign it by the right key, or write this one into ` +
        "RELEASE_KEY of core/release_signature.ts before the release is made",
    );
  }
  const checksums = await Deno.readTextFile(join(dir, CHECKSUMS_FILE));
  await checkFiles(checksums, dir);
  const signature = sign(null, signedContent(VERSION, checksums), readKey(pem));
  await Deno.writeTextFile(join(dir, SIGNATURE_FILE), `${signature.toString("base64")}\n`);
}

/** The platforms that the checksums in `dir` have no program for. */
export async function missingPlatforms(dir: string): Promise<string[]> {
  const checksums = await Deno.readTextFile(join(dir, CHECKSUMS_FILE));
  const names = checksums.split("\n").map((line) => line.slice(66));
  return TARGETS.filter((target) => !names.includes(assetName("agentanycast", target))).map(({ name }) =>
    name
  );
}

function readKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (cause) {
    throw new CodedError("invalid_argument", `Cannot read the key: ${errorMessage(cause)}`, { cause });
  }
  throw new CodedError("invalid_argument", "Cannot sign by this key: it is no Ed25519 key");
}

async function checkFiles(checksums: string, dir: string): Promise<void> {
  const lines = checksums.split("\n").filter((line) => line !== "");
  for (const line of lines) {
    const [sum, file] = [line.slice(0, 64), line.slice(66)];
    const found = await sha256File(join(dir, file)).catch((error) => errorMessage(error));
    if (found === sum) continue;
    throw new CodedError(
      "failed_precondition",
      `Cannot sign ${dir}: the SHA-256 of ${file} is ${found}, and ${CHECKSUMS_FILE} has ${sum}. Compile again`,
    );
  }
  if (lines.length === 0) {
    throw new CodedError("failed_precondition", `Cannot sign ${dir}: it has no programs`);
  }
}

async function main(): Promise<number> {
  const flag = { type: "boolean" } as const;
  const options = { mirror: flag, public: flag, help: { ...flag, short: "h" } } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.help) {
      console.log(ownHelp(import.meta.filename));
      return 0;
    }
    const [keyFile, dir = "dist"] = positionals;
    if (keyFile === undefined) throw new TypeError("Name the file of the key");
    const pem = await Deno.readTextFile(keyFile);
    if (!values.public) {
      await signRelease(pem, dir, values.mirror ? { trusted: publicKeyOf(pem) } : {});
      const missing = await missingPlatforms(dir);
      if (missing.length > 0) console.error(`Signed without a program for ${missing.join(", ")}`);
    }
    console.log(publicKeyOf(pem));
    return 0;
  } catch (error) {
    console.error(errorMessage(error));
    return error instanceof TypeError ? 2 : 1;
  }
}

if (import.meta.main) Deno.exitCode = await main();
