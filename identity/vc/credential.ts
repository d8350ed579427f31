import { CodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import { parseDateTime } from "./date_time.ts";
import { parseCredentialStatus, type StatusEntry } from "./status_list.ts";

export const VC_V2_CONTEXT = "https://www.w3.org/ns/credentials/v2";
/** The existing network calls its credentials 2.0, but has the context of 1.1. */
const VC_V1_CONTEXT = "https://www.w3.org/2018/credentials/v1";
/** Gives terms that no other context defines a meaning of their own. */
export const UNDEFINED_TERMS_CONTEXT = "https://www.w3.org/ns/credentials/undefined-terms/v2";

/** Longest text of a credential. */
export const MAX_CREDENTIAL_BYTES = 64 * 1024;
/** Deepest nesting of a credential. */
const MAX_DEPTH = 32;

/** What a credential says, before anybody has asked whether it is true. */
export interface CredentialClaims {
  readonly id: string;
  readonly issuer: string;
  /** DIDs of those it is about; empty texts for those without one. */
  readonly subjects: readonly string[];
  /** Such as `AgentCapabilityCredential`; without `VerifiableCredential`. */
  readonly types: readonly string[];
  /** What it says that the subject can do. */
  readonly capabilities: readonly string[];
  /** In milliseconds since the Unix epoch; undefined without a beginning or an end. */
  readonly validFromMs: number | undefined;
  readonly validUntilMs: number | undefined;
  readonly status: readonly StatusEntry[];
  /** The form of the existing network: its dates are not signed by a standard, and it cannot be revoked. */
  readonly legacy: boolean;
  /** The credential itself. */
  readonly document: JsonObject;
}

/** The credential in a JSON text. @throws CodedError `invalid_argument` that says what is wrong. */
export function parseCredential(
  text: string,
  { maxBytes = MAX_CREDENTIAL_BYTES }: { maxBytes?: number } = {},
): CredentialClaims {
  if (text.length > maxBytes) throw malformed(`it has more than ${maxBytes} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw malformed("it is no JSON", cause);
  }
  if (!isJsonObject(document)) throw malformed("it is no JSON object");
  checkDepth(document, 0);
  return claimsOf(document);
}

function claimsOf(document: JsonObject): CredentialClaims {
  const [context] = listOf(document["@context"]);
  const types = listOf(document.type);
  if (context !== VC_V2_CONTEXT && context !== VC_V1_CONTEXT) {
    throw malformed(`its first @context is not ${VC_V2_CONTEXT}`);
  }
  if (!types.includes("VerifiableCredential") || !types.every((type) => typeof type === "string")) {
    throw malformed("its type is not VerifiableCredential");
  }
  const legacy = context === VC_V1_CONTEXT;
  const { issuer, credentialSubject, credentialStatus, id = "" } = document;
  const issuerId = isJsonObject(issuer) ? issuer.id : issuer;
  const subjects = listOf(credentialSubject);
  if (typeof issuerId !== "string") throw malformed("it has no issuer");
  if (typeof id !== "string") throw malformed("its id is no text");
  if (subjects.length === 0 || !subjects.every(isJsonObject)) throw malformed("it has no credentialSubject");
  const status = legacy && credentialStatus === undefined ? [] : parseCredentialStatus(credentialStatus);
  if (status === undefined) throw malformed("its credentialStatus is no Bitstring Status List");
  const [from, until] = legacy ? ["issuanceDate", "expirationDate"] : ["validFrom", "validUntil"];
  return {
    id,
    issuer: issuerId,
    subjects: subjects.map((subject) => typeof subject.id === "string" ? subject.id : ""),
    types: types.filter((type): type is string => type !== "VerifiableCredential"),
    capabilities: subjects.flatMap(({ capabilities }) =>
      listOf(capabilities).filter((one): one is string => typeof one === "string")
    ),
    validFromMs: dateOf(document, from),
    validUntilMs: dateOf(document, until),
    status,
    legacy,
    document,
  };
}

function dateOf(document: JsonObject, name = ""): number | undefined {
  const value = document[name];
  const ms = parseDateTime(value);
  if (value !== undefined && ms === undefined) {
    throw malformed(`its ${name} is no date such as 2026-01-31T12:00:00Z`);
  }
  return ms;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function checkDepth(value: JsonValue | undefined, depth: number): void {
  if (depth > MAX_DEPTH) throw malformed(`it is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof value !== "object" || value === null) return;
  for (const one of Object.values(value)) checkDepth(one as JsonValue, depth + 1);
}

function malformed(reason: string, cause?: unknown): CodedError {
  return new CodedError("invalid_argument", `Cannot read the credential: ${reason}`, { cause });
}
