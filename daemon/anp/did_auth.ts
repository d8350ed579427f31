import { CodedError, errorMessage } from "../../core/errors.ts";
import {
  isContentDigest,
  readSignature,
  type RequestSignature,
  type SignableRequest,
} from "../../http/mod.ts";
import { type DidResolver, isDid, verifyBytes } from "../../identity/mod.ts";

/** Why a caller has not proven who it is, as ANP-02 names it. */
export type DidAuthError =
  | "invalid_request"
  | "invalid_nonce"
  | "invalid_timestamp"
  | "invalid_did"
  | "invalid_signature"
  | "invalid_verification_method"
  | "invalid_content_digest";

/** A signature may be so old, and a clock so wrong, in seconds. */
const MAX_AGE_S = 300;
const MAX_LIFETIME_S = 600;
/** Signatures that are remembered so that none is taken twice; the oldest go first. */
const MAX_REMEMBERED = 20_000;

/** A caller that has proven to be a DID, or what is wrong with its proof. */
export type DidProof =
  | { readonly kind: "proven"; readonly did: string }
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly error: DidAuthError; readonly reason: string };

/** Verifies who calls by signatures of HTTP requests (ANP-02 1.2, RFC 9421). Each signature counts once. */
export class DidAuth {
  readonly #deps: { readonly resolver: DidResolver; readonly now: () => number };
  /** When each remembered signature is over, in seconds; the oldest first. */
  readonly #seen = new Map<string, number>();

  constructor({ resolver, now = Date.now }: { resolver: DidResolver; now?: () => number }) {
    this.#deps = { resolver, now };
  }

  /** Who has signed `request`, whose body is `body`. Never throws for what a stranger has sent. */
  async verify(request: SignableRequest, body: Uint8Array): Promise<DidProof> {
    let signature: RequestSignature | undefined;
    try {
      signature = readSignature(request);
    } catch (error) {
      return refused("invalid_request", errorMessage(error));
    }
    if (signature === undefined) return { kind: "none" };
    return this.#fault(signature, request, body) ?? await this.#prove(signature);
  }

  #fault(signature: RequestSignature, { headers }: SignableRequest, body: Uint8Array): DidProof | undefined {
    const { components, created, expires = created + MAX_AGE_S } = signature;
    const covered = (name: string) => components.includes(name);
    if (!covered("@method") || !covered("@target-uri")) {
      return refused("invalid_request", "The signature has to cover @method and @target-uri");
    }
    if (body.length > 0 && !covered("content-digest")) {
      return refused("invalid_content_digest", "The signature has to cover content-digest");
    }
    if (covered("content-digest") && !isContentDigest(headers.get("content-digest") ?? "", body)) {
      return refused("invalid_content_digest", "Content-Digest is not that of the body");
    }
    const nowS = this.#deps.now() / 1000;
    const isTimely = Math.abs(nowS - created) <= MAX_AGE_S && expires > nowS &&
      expires - created <= MAX_LIFETIME_S;
    if (!isTimely) return refused("invalid_timestamp", "The signature is too old, or the clocks differ");
    return undefined;
  }

  async #prove(signature: RequestSignature): Promise<DidProof> {
    const { keyId, base } = signature;
    const did = keyId.split("#", 1)[0] ?? "";
    if (!isDid(did) || !keyId.includes("#")) {
      return refused("invalid_did", "keyid has to be a DID URL with a fragment");
    }
    let keys;
    try {
      ({ keys } = await this.#deps.resolver.resolve(did));
    } catch (error) {
      // What went wrong on the way is not told: it could be asked for names inside of a network.
      if (error instanceof CodedError) return refused("invalid_did", `The document of ${did} cannot be had`);
      throw error;
    }
    const key = keys.find(({ id, purposes }) => id === keyId && purposes.includes("authentication"));
    if (key === undefined) {
      return refused(
        "invalid_verification_method",
        `${keyId} is no Ed25519 key of ${did} for authentication`,
      );
    }
    if (!verifyBytes(key.publicKey, base, signature.signature)) {
      return refused("invalid_signature", "The signature is not by that key, or for another request");
    }
    return this.#isFresh(signature)
      ? { kind: "proven", did }
      : refused("invalid_nonce", "The signature was used before");
  }

  /** Whether it is met for the first time; from then on it is not. */
  #isFresh({ keyId, nonce, created, expires = created, signature }: RequestSignature): boolean {
    const id = `${keyId} ${nonce ?? signature.join()}`;
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, Math.max(expires, created + MAX_AGE_S));
    const nowS = this.#deps.now() / 1000;
    for (const [oldest, overS] of this.#seen) {
      if (this.#seen.size <= MAX_REMEMBERED && overS > nowS) break;
      this.#seen.delete(oldest);
    }
    return true;
  }
}

function refused(error: DidAuthError, reason: string): DidProof {
  return { kind: "refused", error, reason };
}
