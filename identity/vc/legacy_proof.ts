import { base58btc } from "multiformats/bases/base58";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import { isDidKey } from "../did_key.ts";
import { resolveDidKey } from "../did/did_resolver.ts";
import { canonicalJson } from "../jcs.ts";
import { verifyBytes } from "../signature.ts";

/** Longest proof value: 64 bytes in base58, with or without its `z`. */
const MAX_PROOF_VALUE = 89;

/**
 * Whether a credential of the existing network is signed by its issuer, a did:key: `Ed25519Signature2020` over the whole
 * credential without its proof as JSON with sorted members, in which Go has escaped `<`, `>`, `&` and two separators.
 */
export function hasLegacyProof(document: JsonObject): boolean {
  const { proof, ...unsecured } = document;
  const { issuer } = document;
  if (!isJsonObject(proof) || typeof issuer !== "string" || !isDidKey(issuer)) return false;
  const { type, proofPurpose, verificationMethod, proofValue } = proof;
  const isKnown = type === "Ed25519Signature2020" && proofPurpose === "assertionMethod" &&
    verificationMethod === `${issuer}#key-1`;
  if (!isKnown || typeof proofValue !== "string" || proofValue.length > MAX_PROOF_VALUE) return false;
  const signature = decode(proofValue);
  const [key] = resolveDidKey(issuer).keys;
  return key !== undefined && signature !== undefined &&
    verifyBytes(key.publicKey, new TextEncoder().encode(toGoJson(unsecured)), signature);
}

function toGoJson(document: JsonObject): string {
  return canonicalJson(document).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function decode(proofValue: string): Uint8Array | undefined {
  try {
    const bytes = base58btc.baseDecode(proofValue);
    return bytes.length === 64 ? bytes : base58btc.decode(proofValue);
  } catch {
    return undefined; // no base58
  }
}
