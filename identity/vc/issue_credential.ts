import type { JsonObject } from "../../core/json.ts";
import type { Identity } from "../identity.ts";
import { UNDEFINED_TERMS_CONTEXT, VC_V2_CONTEXT } from "./credential.ts";
import { addProof } from "./data_integrity.ts";
import { toDateTime } from "./date_time.ts";
import { encodeStatusList, type StatusEntry, toCredentialStatus } from "./status_list.ts";

/** A credential that is to be issued. */
export interface NewCredential {
  /** The DID of whom it is about. */
  readonly subject: string;
  /** Such as `AgentCapabilityCredential`. */
  readonly type: string;
  /** What it says about the subject. */
  readonly claims: JsonObject;
  /** In milliseconds since the Unix epoch. */
  readonly validFromMs: number;
  /** Undefined for no end. */
  readonly validUntilMs?: number | undefined;
  /** Where it is told whether it is revoked; undefined for one that cannot be. */
  readonly status?: StatusEntry | undefined;
}

/** Who issues: a DID, and the DID URL of its key. */
export interface Issuer {
  readonly identity: Identity;
  /** Default the did:key of the identity. */
  readonly did?: string | undefined;
  /** Default the key of the did:key. */
  readonly verificationMethod?: string | undefined;
}

/** A W3C credential 2.0 with a proof by `eddsa-jcs-2022`, created when it begins to be valid. */
export function issueCredential(credential: NewCredential, issuer: Issuer): JsonObject {
  const { subject, type, claims, validFromMs, validUntilMs, status } = credential;
  return sign({
    "@context": [VC_V2_CONTEXT, UNDEFINED_TERMS_CONTEXT],
    id: `urn:uuid:${crypto.randomUUID()}`,
    type: ["VerifiableCredential", type],
    issuer: issuer.did ?? issuer.identity.didKey,
    validFrom: toDateTime(validFromMs),
    ...validUntilMs !== undefined && { validUntil: toDateTime(validUntilMs) },
    credentialSubject: { id: subject, ...claims },
    ...status !== undefined && { credentialStatus: toCredentialStatus(status) },
  }, { issuer, createdMs: validFromMs });
}

/** The credential with the list of what is revoked, as it is served at its `url`. */
export async function issueStatusList(
  { url, bits, nowMs }: { url: string; bits: Uint8Array; nowMs: number },
  issuer: Issuer,
): Promise<JsonObject> {
  return sign({
    "@context": [VC_V2_CONTEXT],
    id: url,
    type: ["VerifiableCredential", "BitstringStatusListCredential"],
    issuer: issuer.did ?? issuer.identity.didKey,
    validFrom: toDateTime(nowMs),
    credentialSubject: {
      id: `${url}#list`,
      type: "BitstringStatusList",
      statusPurpose: "revocation",
      encodedList: await encodeStatusList(bits),
    },
  }, { issuer, createdMs: nowMs });
}

function sign(
  document: JsonObject,
  { issuer, createdMs }: { issuer: Issuer; createdMs: number },
): JsonObject {
  const { identity, verificationMethod } = issuer;
  return addProof(document, {
    identity,
    createdMs,
    ...verificationMethod !== undefined && { verificationMethod },
  });
}
