import {
  type Identity,
  type RegistryFacts,
  type RegistryRecord,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "../../identity/mod.ts";

/** How long a record holds: nobody can go on telling of an agent that has gone for longer. */
export const RECORD_LIFETIME_MS = 60 * 60 * 1000;

/** What is left of an agent that is not there any more. */
export const NO_FACTS: RegistryFacts = { name: "", description: "", skills: [], addresses: [] };

/** Signs what this node says about its agent, each time with a higher sequence. */
export class FactSigner {
  readonly #identity: Identity;
  readonly #now: () => number;
  #lastSequence = 0;

  /** @param now milliseconds since the Unix epoch. */
  constructor(identity: Identity, now: () => number) {
    this.#identity = identity;
    this.#now = now;
  }

  /** The sequence that was given last. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Goes on behind `sequence`, which somebody has seen already. */
  skipTo(sequence: number): void {
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
  }

  /** Signs `facts`; those without a skill say that the agent is gone. */
  sign(facts: RegistryFacts): { record: RegistryRecord; signed: SignedRegistryRecord } {
    const issuedAtMs = this.#now();
    this.#lastSequence = Math.max(this.#lastSequence + 1, issuedAtMs);
    const record = {
      ...facts,
      sequence: this.#lastSequence,
      issuedAtMs,
      expiresAtMs: issuedAtMs + RECORD_LIFETIME_MS,
      removed: facts.skills.length === 0,
    };
    const { peerId } = this.#identity;
    return { record: { ...record, peerId }, signed: signRegistryRecord(record, this.#identity) };
  }
}
