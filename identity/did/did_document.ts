import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { base58btc } from "multiformats/bases/base58";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import { fromMultibaseKey, toMultibaseKey } from "../did_key.ts";
import { PUBLIC_KEY_BYTES } from "../peer_id.ts";
import type { ProofPurpose } from "../vc/data_integrity.ts";
import { toX25519Multikey, toX25519PublicKey } from "../x25519.ts";

/** An Ed25519 key that a DID names. */
export interface VerificationKey {
  /** DID URL, such as `did:web:example.com#key-1`. */
  readonly id: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly purposes: readonly ProofPurpose[];
}

/** A service that a DID names. */
export interface DidService {
  /** Behind the `#` of its id. */
  readonly name: string;
  readonly type: string;
  readonly serviceEndpoint: string;
}

const PURPOSES: readonly ProofPurpose[] = ["assertionMethod", "authentication"];
/** Most keys, and references to keys, of a document that are looked at. */
const MAX_METHODS = 64;

/**
 * The document of a DID whose keys are Ed25519 public keys (32 bytes each), the first as `#key-1`. For signing that is all;
 * X25519 keys for agreement follow from them.
 */
export function createDidDocument(
  did: string,
  options: {
    publicKeys: readonly Uint8Array[];
    /** Other names of the same subject. */
    alsoKnownAs?: readonly string[];
    services?: readonly DidService[];
  },
): JsonObject {
  const { publicKeys, alsoKnownAs = [], services = [] } = options;
  const isKey = did.startsWith("did:key:");
  const methods = publicKeys.map((key, i) => {
    const publicKeyMultibase = toMultibaseKey(key);
    const id = `${did}#${isKey ? publicKeyMultibase : `key-${i + 1}`}`;
    return { id, type: "Multikey", controller: did, publicKeyMultibase };
  });
  const agreements = publicKeys.map((key, i) => {
    const publicKeyMultibase = toX25519Multikey(toX25519PublicKey(key));
    const id = `${did}#${isKey ? publicKeyMultibase : `key-agreement-${i + 1}`}`;
    return { id, type: "Multikey", controller: did, publicKeyMultibase };
  });
  const ids = methods.map(({ id }) => id);
  return {
    "@context": [
      "https://www.w3.org/ns/did/v1",
      "https://w3id.org/security/data-integrity/v2",
      "https://w3id.org/security/multikey/v1",
    ],
    id: did,
    ...alsoKnownAs.length > 0 && { alsoKnownAs },
    verificationMethod: methods,
    authentication: ids,
    assertionMethod: ids,
    keyAgreement: agreements,
    ...services.length > 0 && {
      service: services.map(({ name, type, serviceEndpoint }) => (
        { id: `${did}#${name}`, type, serviceEndpoint }
      )),
    },
  };
}

/** The Ed25519 keys in the document of `did`, with what each may be used for; other keys are left out. */
export function keysOfDocument(did: string, document: JsonObject): VerificationKey[] {
  const keys = new Map<string, { publicKey: Uint8Array; purposes: ProofPurpose[] }>();
  const note = (method: JsonValue, purposes: ProofPurpose[]) => {
    const key = isJsonObject(method) ? toKey(did, method) : undefined;
    if (key !== undefined) keys.set(key.id, { publicKey: key.publicKey, purposes });
  };
  for (const method of listOf(document.verificationMethod)) note(method, []);
  for (const purpose of PURPOSES) {
    for (const one of listOf(document[purpose])) {
      if (typeof one === "string") keys.get(absolute(did, one))?.purposes.push(purpose);
      else note(one, [purpose]);
    }
  }
  return [...keys].map(([id, key]) => ({ id, ...key }));
}

/** The RFC 7638 thumbprint of an Ed25519 public key as a JWK, base64url. */
export function thumbprintOf(publicKey: Uint8Array): string {
  const x = Buffer.from(publicKey).toString("base64url");
  return createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url");
}

function toKey(did: string, method: JsonObject): { id: string; publicKey: Uint8Array } | undefined {
  const { id, controller = did } = method;
  const publicKey = publicKeyOf(method);
  // A key that somebody else controls is not the subject's own.
  if (typeof id !== "string" || controller !== did || publicKey === undefined) return undefined;
  const absoluteId = absolute(did, id);
  return absoluteId.startsWith(`${did}#`) ? { id: absoluteId, publicKey } : undefined;
}

function publicKeyOf({ type, publicKeyMultibase, publicKeyJwk, publicKeyBase58 }: JsonObject) {
  switch (type) {
    case "Multikey":
    case "Ed25519VerificationKey2020":
      return typeof publicKeyMultibase === "string" ? fromMultibaseKey(publicKeyMultibase) : undefined;
    case "JsonWebKey":
    case "JsonWebKey2020":
      return isJsonObject(publicKeyJwk) ? publicKeyOfJwk(publicKeyJwk) : undefined;
    case "Ed25519VerificationKey2018":
      if (typeof publicKeyMultibase === "string") return fromMultibaseKey(publicKeyMultibase);
      return isJsonObject(publicKeyJwk) ? publicKeyOfJwk(publicKeyJwk) : publicKeyOfBase58(publicKeyBase58);
    default:
      return undefined;
  }
}

function publicKeyOfJwk({ kty, crv, x }: JsonObject): Uint8Array | undefined {
  if (kty !== "OKP" || crv !== "Ed25519" || typeof x !== "string" || x.length > 64) return undefined;
  const key = Buffer.from(x, "base64url");
  return key.length === PUBLIC_KEY_BYTES ? new Uint8Array(key) : undefined;
}

function publicKeyOfBase58(text: JsonValue | undefined): Uint8Array | undefined {
  if (typeof text !== "string" || text.length > 64) return undefined;
  try {
    const key = base58btc.baseDecode(text);
    return key.length === PUBLIC_KEY_BYTES ? key : undefined;
  } catch {
    return undefined; // a character outside of the alphabet
  }
}

function absolute(did: string, reference: string): string {
  return reference.startsWith("#") ? did + reference : reference;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value.slice(0, MAX_METHODS) : [];
}
