import { CodedError, errorMessage } from "../../core/errors.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { isJsonObject } from "../../core/json.ts";
import type { DidNetwork, DidResolver } from "../did/did_resolver.ts";
import { type CredentialClaims, parseCredential } from "./credential.ts";
import { findProofs } from "./data_integrity.ts";
import { toDateTime } from "./date_time.ts";
import { hasLegacyProof } from "./legacy_proof.ts";
import { decodeStatusList, statusAt, type StatusEntry } from "./status_list.ts";

/** What became of a credential when it was checked. */
export type CredentialVerdict =
  | "valid"
  | "not_yet_valid"
  | "expired"
  | "revoked"
  | "suspended"
  /** It is about somebody else. */
  | "wrong_subject"
  /** No proof in it is by a key of its issuer. */
  | "forged"
  /** It cannot be read. */
  | "malformed"
  /** Its issuer or its status could not be found out. */
  | "unverifiable";

/** A credential that was checked. */
export interface CheckedCredential {
  readonly verdict: CredentialVerdict;
  /** Why it is not valid; empty when it is. */
  readonly reason: string;
  /** Undefined when it cannot be read. */
  readonly claims: CredentialClaims | undefined;
}

export interface CredentialVerifierDeps {
  resolver: DidResolver;
  network: Pick<DidNetwork, "fetchBytes">;
  clock?: Clock;
}

/** How long a status list is kept, in milliseconds: this long a revoked credential may still be taken for valid. */
const KEEP_LIST_MS = 60_000;
const MAX_KEPT_LISTS = 100;
/** Most bytes of a credential with a status list. */
const MAX_LIST_BYTES = 1024 * 1024;
/** Clocks may differ by this much, in milliseconds. */
const CLOCK_SKEW_MS = 60_000;

/** What stops the check of a credential. */
class Finding extends Error {
  constructor(readonly verdict: CredentialVerdict, reason: string) {
    super(reason);
  }
}

/** Checks credentials; it remembers up to 100 status lists for a minute. */
export class CredentialVerifier {
  readonly #deps: Required<CredentialVerifierDeps>;
  readonly #lists = new Map<string, { untilMs: number; bits: Promise<Uint8Array> }>();

  constructor(deps: CredentialVerifierDeps) {
    this.#deps = { clock: systemClock, ...deps };
  }

  /**
   * Checks the credential in a JSON text: its proof by a key of its issuer, its dates, its status, and, with `subjects`, that
   * each one it is about is among these DIDs. Never throws.
   */
  async verify(text: string, options: { subjects?: readonly string[] } = {}): Promise<CheckedCredential> {
    let claims: CredentialClaims | undefined;
    try {
      claims = parseCredential(text);
      await this.#check(claims, options.subjects);
      return { verdict: "valid", reason: "", claims };
    } catch (error) {
      const failed = claims === undefined ? "malformed" : "unverifiable";
      const verdict = error instanceof Finding ? error.verdict : failed;
      return { verdict, reason: errorMessage(error), claims };
    }
  }

  async #check(claims: CredentialClaims, subjects: readonly string[] | undefined): Promise<void> {
    await this.#checkProof(claims);
    this.#checkDates(claims);
    if (subjects !== undefined && !claims.subjects.every((subject) => subjects.includes(subject))) {
      throw new Finding("wrong_subject", `it is about ${claims.subjects.join(", ") || "nobody"}`);
    }
    await this.#checkStatus(claims);
  }

  async #checkProof(claims: CredentialClaims): Promise<void> {
    if (claims.legacy) {
      if (hasLegacyProof(claims.document)) return;
      throw new Finding("forged", "it is not signed by its issuer, in the form of the existing network");
    }
    const proofs = findProofs(claims.document);
    if (proofs.length === 0) throw new Finding("forged", "it has no proof by eddsa-jcs-2022");
    const { resolver, clock } = this.#deps;
    const { keys } = await resolver.resolve(claims.issuer);
    const isSigned = proofs.some((proof) =>
      proof.purpose === "assertionMethod" &&
      keys.some((key) =>
        key.id === proof.verificationMethod && key.purposes.includes(proof.purpose) &&
        proof.isBy(key.publicKey, clock.now())
      )
    );
    if (!isSigned) throw new Finding("forged", `it is not signed by a key of its issuer ${claims.issuer}`);
  }

  #checkDates({ validFromMs, validUntilMs }: CredentialClaims): void {
    const nowMs = this.#deps.clock.now();
    if (validFromMs !== undefined && nowMs + CLOCK_SKEW_MS < validFromMs) {
      throw new Finding("not_yet_valid", `it is valid from ${toDateTime(validFromMs)}`);
    }
    if (validUntilMs !== undefined && nowMs >= validUntilMs) {
      throw new Finding("expired", `it was valid until ${toDateTime(validUntilMs)}`);
    }
  }

  async #checkStatus({ issuer, status }: CredentialClaims): Promise<void> {
    for (const entry of status) {
      const bits = await this.#listOf(entry, issuer).catch((cause) => {
        throw new CodedError("unavailable", `its status is not known: ${errorMessage(cause)}`, { cause });
      });
      const isSet = statusAt(bits, entry.index);
      if (isSet === undefined) {
        throw new Finding("unverifiable", `${entry.listUrl} has no entry ${entry.index}`);
      }
      if (!isSet) continue;
      const verdict = entry.purpose === "revocation" ? "revoked" : "suspended";
      throw new Finding(verdict, `its issuer has ${verdict} it (${entry.listUrl}, entry ${entry.index})`);
    }
  }

  #listOf(entry: StatusEntry, issuer: string): Promise<Uint8Array> {
    const nowMs = this.#deps.clock.now();
    const key = JSON.stringify([entry.listUrl, entry.purpose, issuer]);
    const kept = this.#lists.get(key);
    if (kept !== undefined && nowMs < kept.untilMs) return kept.bits;
    this.#lists.delete(key);
    const bits = this.#fetchList(entry, issuer);
    this.#lists.set(key, { untilMs: nowMs + KEEP_LIST_MS, bits });
    bits.catch(() => this.#lists.delete(key)); // whoever waits for it is told
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= MAX_KEPT_LISTS) break;
      this.#lists.delete(oldest);
    }
    return bits;
  }

  /** A list counts only when the issuer of the credential has signed it, and it is valid itself. */
  async #fetchList({ listUrl, purpose }: StatusEntry, issuer: string): Promise<Uint8Array> {
    const bytes = await this.#deps.network.fetchBytes(listUrl, { maxBytes: MAX_LIST_BYTES });
    const list = parseCredential(new TextDecoder().decode(bytes), { maxBytes: MAX_LIST_BYTES });
    const subject = list.document.credentialSubject;
    if (
      !list.types.includes("BitstringStatusListCredential") || !isJsonObject(subject) ||
      list.issuer !== issuer
    ) {
      throw new CodedError("failed_precondition", `${listUrl} is no status list of ${issuer}`);
    }
    if (subject.type !== "BitstringStatusList" || subject.statusPurpose !== purpose || list.id !== listUrl) {
      throw new CodedError("failed_precondition", `${listUrl} is a status list for something else`);
    }
    await this.#checkProof(list);
    this.#checkDates(list);
    return await decodeStatusList(String(subject.encodedList));
  }
}
