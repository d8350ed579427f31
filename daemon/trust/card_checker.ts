import { createHash } from "node:crypto";
import type { AgentCard } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { errorMessage, toCodedError } from "../../core/errors.ts";
import {
  type CheckedCredential,
  type CredentialVerifier,
  type DidResolver,
  isPeerId,
  publicKeyFromPeerId,
} from "../../identity/mod.ts";

/** What became of a DID that a card claims. */
export interface CheckedDid {
  readonly did: string;
  /** `refuted`: it names other keys. `unverifiable`: who it is could not be found out. */
  readonly verdict: "verified" | "refuted" | "unverifiable";
  /** Empty for a verified one. */
  readonly reason: string;
}

/** What is proven of a card. */
export interface CheckedCard {
  /** Whether the key of its peer id has signed it. */
  readonly signed: boolean;
  /** The other DIDs that it claims. */
  readonly dids: readonly CheckedDid[];
  readonly credentials: readonly CheckedCredential[];
}

export interface CardCheckerDeps {
  resolver: DidResolver;
  verifier: CredentialVerifier;
  clock?: Clock;
}

/** How long a result is kept, in milliseconds; what was looked up for it may be older by as much as that is kept. */
const KEEP_MS = 60_000;
/** Cards may be large, and what they claim is kept. */
const MAX_KEPT = 200;
/** Most credentials of a card that are looked at. */
const MAX_CREDENTIALS = 16;

/** Finds out what is true of the claims of cards, and remembers it for a minute. */
export class CardChecker {
  readonly #deps: Required<CardCheckerDeps>;
  readonly #kept = new Map<string, { untilMs: number; checked: Promise<CheckedCard> }>();

  constructor(deps: CardCheckerDeps) {
    this.#deps = { clock: systemClock, ...deps };
  }

  /** What is proven of a card whose peer id the connection has proven. Never throws. */
  check(card: AgentCard): Promise<CheckedCard> {
    const { clock } = this.#deps;
    const key = keyOf(card);
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    const isFresh = kept !== undefined && clock.now() < kept.untilMs;
    const entry = isFresh ? kept : { untilMs: clock.now() + KEEP_MS, checked: this.#check(card) };
    this.#kept.set(key, entry);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return entry.checked;
  }

  async #check(card: AgentCard): Promise<CheckedCard> {
    const { didWeb, didDns, didKey, verifiableCredentials } = card;
    const claimed = [...new Set([didWeb, didDns])].filter((did) => did !== "" && did !== didKey);
    const dids = await Promise.all(claimed.map((did) => this.#checkDid(did, card.peerId)));
    // A credential may be about any name that is proven to be the agent's.
    const subjects = [didKey, ...dids.filter(({ verdict }) => verdict === "verified").map(({ did }) => did)];
    const credentials = await Promise.all(
      verifiableCredentials.slice(0, MAX_CREDENTIALS).map(async (text) => {
        const checked = await this.#deps.verifier.verify(text, { subjects });
        // The document itself is on the card.
        return { ...checked, claims: checked.claims && { ...checked.claims, document: {} } };
      }),
    );
    return { signed: card.signedAtMs !== 0, dids, credentials };
  }

  async #checkDid(did: string, peerId: string): Promise<CheckedDid> {
    try {
      const publicKey = isPeerId(peerId) ? publicKeyFromPeerId(peerId) : new Uint8Array();
      const { keys } = await this.#deps.resolver.resolve(did);
      const isOwn = keys.some((key) =>
        key.purposes.includes("authentication") && key.publicKey.every((byte, i) => byte === publicKey[i])
      );
      return isOwn
        ? { did, verdict: "verified", reason: "" }
        : { did, verdict: "refuted", reason: "it names other keys than that of the peer id" };
    } catch (error) {
      const { code } = toCodedError(error);
      const isDenied = code === "invalid_argument" || code === "not_found" || code === "failed_precondition";
      return { did, verdict: isDenied ? "refuted" : "unverifiable", reason: errorMessage(error) };
    }
  }
}

/** A short text that differs when the result may. */
function keyOf({ peerId, didWeb, didDns, signedAtMs, verifiableCredentials }: AgentCard): string {
  const claims = JSON.stringify([peerId, didWeb, didDns, signedAtMs, verifiableCredentials]);
  return createHash("sha256").update(claims).digest("base64");
}
