import type { Clock } from "../../core/clock.ts";
import { CodedError, errorMessage, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Identity, RegistryFacts } from "../../identity/mod.ts";
import type { Lease, RegistryClient } from "../../registry/mod.ts";
import { FactSigner, NO_FACTS, RECORD_LIFETIME_MS } from "./sign_facts.ts";

export interface RegistrarDeps {
  /** For the log, such as `registry 192.0.2.7:50052`. */
  name: string;
  client: Pick<RegistryClient, "register" | "heartbeat" | "unregister">;
  identity: Identity;
  /** What is to be registered now; undefined for nothing. */
  facts(): RegistryFacts | undefined;
  clock: Clock;
  logger: Logger;
}

/** A registration is renewed this many times while it lives. */
const RENEWALS_PER_LIFE = 3;
/** How often is looked whether something else is to be registered, such as a new address. */
const LOOK_MS = 2_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;
/** Pause before a peer that is no registry is asked again. */
const NO_REGISTRY_MS = 5 * 60_000;
const UNREGISTER_MS = 2_000;
/** Highest sequence that a registry is believed to know: with a higher one it could leave none to go on with. */
const MAX_LEARNED_SEQUENCE = 2 ** 52;

interface Registered {
  readonly facts: string;
  readonly lease: Lease;
  /** When the record that was registered has lived half its life. Milliseconds since the Unix epoch. */
  readonly signAgainAtMs: number;
}

/** Keeps this node's agent registered with one registry for as long as it runs. */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #signer: FactSigner;
  #registered: Registered | undefined;
  /** What the last step was about. */
  #tried: string | undefined;
  #failures = 0;
  #wake = new AbortController();

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
    this.#signer = new FactSigner(deps.identity, () => deps.clock.now());
  }

  /** Whether the registry has the agent, as far as is known. */
  get isRegistered(): boolean {
    return this.#registered !== undefined;
  }

  /** Something may be different, the card or the way to the registry: it is looked after at once. */
  wake(): void {
    this.#failures = 0;
    this.#wake.abort();
  }

  /** Registers, renews and registers again until `signal` fires; then takes the registration back. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = new AbortController();
      let pauseMs: number;
      try {
        pauseMs = await this.#step(signal);
        this.#failures = 0;
      } catch (error) {
        pauseMs = this.#onFailure(error, signal);
      }
      await this.#pause(pauseMs, signal);
    }
    await this.#takeBack(AbortSignal.timeout(UNREGISTER_MS)).catch((error) => {
      this.#deps.logger.debug("Not unregistered: it lapses by itself", this.#factsOf(error));
    });
  }

  /** Does what is due; answers after how many milliseconds something is due again. */
  async #step(signal: AbortSignal): Promise<number> {
    const { client, identity, clock } = this.#deps;
    const facts = this.#deps.facts();
    this.#tried = facts && JSON.stringify(facts);
    if (facts === undefined) {
      await this.#takeBack(signal);
      return Infinity;
    }
    const known = this.#registered;
    if (known === undefined || known.facts !== this.#tried || clock.now() >= known.signAgainAtMs) {
      return await this.#register(facts, signal);
    }
    try {
      const lease = await client.heartbeat(identity.peerId, { signal });
      this.#registered = { ...known, lease };
      return lease.ttlMs / RENEWALS_PER_LIFE;
    } catch (error) {
      if (toCodedError(error).code !== "not_found") throw error;
      return await this.#register(facts, signal);
    }
  }

  async #register(facts: RegistryFacts, signal: AbortSignal): Promise<number> {
    const { client, clock, logger, name } = this.#deps;
    const isNew = this.#registered === undefined;
    let lease: Lease;
    try {
      lease = await client.register(this.#signer.sign(facts), { signal });
    } catch (error) {
      if (!this.#learnSequence(error)) throw error;
      lease = await client.register(this.#signer.sign(facts), { signal });
    }
    const signAgainAtMs = clock.now() + RECORD_LIFETIME_MS / 2;
    this.#registered = { facts: JSON.stringify(facts), lease, signAgainAtMs };
    const skills = facts.skills.map(({ id }) => id);
    logger[isNew ? "info" : "debug"]("Registered", { registry: name, skills, ttlMs: lease.ttlMs });
    return lease.ttlMs / RENEWALS_PER_LIFE;
  }

  async #takeBack(signal: AbortSignal): Promise<void> {
    if (this.#registered === undefined) return;
    this.#registered = undefined;
    await this.#deps.client.unregister(this.#signer.sign(NO_FACTS), { signal });
  }

  /** Whether the registry has a later record of this node, from before its clock was set back. */
  #learnSequence(error: unknown): boolean {
    if (!(error instanceof CodedError) || error.code !== "aborted") return false;
    const latest = Math.max(0, ...[...error.message.matchAll(/\b\d{10,16}\b/g)].map(Number));
    if (latest > MAX_LEARNED_SEQUENCE || latest < this.#signer.lastSequence) return false;
    this.#signer.skipTo(latest);
    return true;
  }

  #onFailure(error: unknown, signal: AbortSignal): number {
    if (signal.aborted) return 0;
    const { code } = toCodedError(error);
    const { logger } = this.#deps;
    if (code === "unimplemented") {
      logger.debug("No registry there", this.#factsOf(error));
      return NO_REGISTRY_MS;
    }
    const log = this.#failures === 0 ? logger.warn : logger.debug;
    log.call(logger, "Not registered; trying again", this.#factsOf(error));
    // What is too much for a registry, or is not to its liking, will hardly be otherwise soon.
    if (code === "invalid_argument" || code === "permission_denied") return NO_REGISTRY_MS;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, LONGEST_PAUSE_MS);
    return pauseMs / 2 + Math.random() * pauseMs / 2;
  }

  #factsOf(error: unknown): Record<string, unknown> {
    return { registry: this.#deps.name, error: errorMessage(error) };
  }

  /** Waits, but not when something else is to be registered meanwhile. */
  async #pause(pauseMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const untilMs = clock.now() + pauseMs;
    const woken = AbortSignal.any([signal, this.#wake.signal]);
    while (!woken.aborted && clock.now() < untilMs) {
      await clock.sleep(Math.min(LOOK_MS, untilMs - clock.now()), woken).catch(() => {
        // Woken: the loop ends.
      });
      const facts = this.#deps.facts();
      if ((facts && JSON.stringify(facts)) !== this.#tried) return;
    }
  }
}
