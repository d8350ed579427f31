import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { base58btc } from "multiformats/bases/base58";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import type { Identity } from "../identity.ts";
import { canonicalBytes } from "../jcs.ts";
import { signBytes, verifyBytes } from "../signature.ts";
import { parseDateTime, toDateTime } from "./date_time.ts";

const CRYPTOSUITE = "eddsa-jcs-2022";
/** Most proofs of a document that are looked at. */
const MAX_PROOFS = 8;
/** Longest proof value: `z` and 64 bytes in base58. */
const MAX_PROOF_VALUE = 89;

/** What a proof is made for. */
export type ProofPurpose = "assertionMethod" | "authentication";

/** A proof that is to be made. */
export interface ProofOptions {
  readonly identity: Identity;
  /** DID URL of the key, such as `did:key:z6Mk…#z6Mk…`, the default. */
  readonly verificationMethod?: string;
  /** Default `assertionMethod`. */
  readonly purpose?: ProofPurpose;
  /** In milliseconds since the Unix epoch. */
  readonly createdMs: number;
}

/**
 * The document with a Data Integrity proof by `eddsa-jcs-2022` in place of any that it had.
 * https://www.w3.org/TR/vc-di-eddsa/#eddsa-jcs-2022
 */
export function addProof(document: JsonObject, options: ProofOptions): JsonObject {
  const { identity, verificationMethod, purpose = "assertionMethod", createdMs } = options;
  const { proof: _, ...unsecured } = document;
  const context = unsecured["@context"];
  const config: JsonObject = {
    ...context === undefined ? {} : { "@context": context },
    type: "DataIntegrityProof",
    cryptosuite: CRYPTOSUITE,
    created: toDateTime(createdMs),
    verificationMethod: verificationMethod ??
      `${identity.didKey}#${identity.didKey.slice("did:key:".length)}`,
    proofPurpose: purpose,
  };
  const proofValue = base58btc.encode(signBytes(identity, hashData(unsecured, config)));
  return { ...unsecured, proof: { ...config, proofValue } };
}

/** A proof of a document, and the key that is said to have made it. */
export interface FoundProof {
  readonly verificationMethod: string;
  readonly purpose: ProofPurpose;
  /** Whether the Ed25519 key of 32 bytes has made it, and it is not over at this time. */
  isBy(publicKey: Uint8Array, nowMs: number): boolean;
}

/** The proofs by `eddsa-jcs-2022` of a document; others are left out. */
export function findProofs(document: JsonObject): FoundProof[] {
  const { proof, ...unsecured } = document;
  const proofs = Array.isArray(proof) ? proof.slice(0, MAX_PROOFS) as JsonValue[] : [proof];
  return proofs.flatMap((one) => isJsonObject(one) ? toFoundProof(unsecured, one) ?? [] : []);
}

function toFoundProof(unsecured: JsonObject, proof: JsonObject): FoundProof | undefined {
  const { proofValue, ...config } = proof;
  const { type, cryptosuite, verificationMethod, proofPurpose } = config;
  if (
    type !== "DataIntegrityProof" || cryptosuite !== CRYPTOSUITE || typeof verificationMethod !== "string"
  ) {
    return undefined;
  }
  if (proofPurpose !== "assertionMethod" && proofPurpose !== "authentication") return undefined;
  // A chain of proofs: this one would be over others that are not looked at.
  if (config.previousProof !== undefined) return undefined;
  const document = withContext(unsecured, config["@context"]);
  const signature = signatureOf(proofValue);
  if (document === undefined || signature === undefined) return undefined;
  return {
    verificationMethod,
    purpose: proofPurpose,
    isBy: (publicKey, nowMs) =>
      isInTime(config, nowMs) && verifyBytes(publicKey, hashData(document, config), signature),
  };
}

/** The document under the context that was signed: its own has to begin with that one. */
function withContext(document: JsonObject, signed: JsonValue | undefined): JsonObject | undefined {
  if (signed === undefined) return document;
  const list = (value: JsonValue | undefined) => Array.isArray(value) ? value : [value ?? null];
  const [own, wanted] = [list(document["@context"]), list(signed)];
  const text = (value: JsonValue) => new TextDecoder().decode(canonicalBytes(value));
  const begins = wanted.length <= own.length && wanted.every((one, i) => text(one) === text(own[i]));
  return begins ? { ...document, "@context": signed } : undefined;
}

function isInTime({ created, expires }: JsonObject, nowMs: number): boolean {
  if (created !== undefined && parseDateTime(created) === undefined) return false;
  if (expires === undefined) return true;
  const expiresMs = parseDateTime(expires);
  return expiresMs !== undefined && nowMs < expiresMs;
}

function signatureOf(proofValue: JsonValue | undefined): Uint8Array | undefined {
  if (typeof proofValue !== "string" || proofValue.length > MAX_PROOF_VALUE) return undefined;
  try {
    return base58btc.decode(proofValue);
  } catch {
    return undefined; // no base58 behind a z
  }
}

/** SHA-256 of the proof's configuration, then of the document, both in canonical form. */
function hashData(document: JsonObject, config: JsonObject): Uint8Array {
  const hash = (value: JsonObject) => createHash("sha256").update(canonicalBytes(value)).digest();
  return Buffer.concat([hash(config), hash(document)]);
}
