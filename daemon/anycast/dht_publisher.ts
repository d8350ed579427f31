import type { Clock } from "../../core/clock.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Identity, RegistryFacts } from "../../identity/mod.ts";
import type { Dht } from "../../p2p/mod.ts";
import { encodeSignedRecord } from "../convert/registry_record.ts";
import { agentKey, skillName } from "./dht_records.ts";
import { FactSigner, NO_FACTS, RECORD_LIFETIME_MS } from "./sign_facts.ts";

export interface DhtPublisherDeps {
  dht: Pick<Dht, "size" | "provide" | "stopProviding" | "put">;
  identity: Identity;
  /** What is to be published now; undefined for nothing. */
  facts(): RegistryFacts | undefined;
  /** Dials peers that may take part, so that an empty table gets some. */
  rejoin(signal: AbortSignal): Promise<void>;
  clock: Clock;
  logger: Logger;
}

/** How often is looked whether something is to be done. */
const LOOK_MS = 2_000;
/** How often skills are told again: those who know of them forget them after two days. */
const PROVIDE_MS = 6 * 60 * 60 * 1000;
/** Pause between two tries to fill an empty table, doubled each time. */
const REJOIN_MS = 2_000;
const LONGEST_REJOIN_MS = 30_000;
/** Longest time for one round, and for taking everything back. */
const ROUND_MS = 60_000;
const RETRACT_MS = 2_000;
const PROVIDED_TOGETHER = 4;

interface Published {
  readonly facts: string;
  readonly skills: readonly string[];
  readonly atMs: number;
  readonly providedAtMs: number;
  /** Peers of the table at that time: with many more, others are the right ones to know. */
  readonly tableSize: number;
}

/** Keeps this node's agent in the DHT for as long as it runs. */
export class DhtPublisher {
  readonly #deps: DhtPublisherDeps;
  readonly #signer: FactSigner;
  #published: Published | undefined;
  #rejoinAtMs = 0;
  #rejoinPauseMs = REJOIN_MS;

  constructor(deps: DhtPublisherDeps) {
    this.#deps = deps;
    this.#signer = new FactSigner(deps.identity, () => deps.clock.now());
  }

  /** Publishes until `signal` fires; then takes everything back. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    while (!signal.aborted) {
      await this.#within(ROUND_MS, signal, (limit) => this.#round(limit)).catch((error) => {
        if (!signal.aborted) logger.debug("Not published in the DHT", { error: errorMessage(error) });
      });
      await clock.sleep(LOOK_MS, signal).catch(() => {
        // The loop ends.
      });
    }
    const never = new AbortController().signal;
    await this.#within(RETRACT_MS, never, (limit) => this.#retract(limit)).catch((error) => {
      logger.debug("Not taken out of the DHT: it lapses by itself", { error: errorMessage(error) });
    });
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { dht, clock, rejoin } = this.#deps;
    const nowMs = clock.now();
    if (dht.size === 0) {
      if (nowMs < this.#rejoinAtMs) return;
      this.#rejoinAtMs = nowMs + this.#rejoinPauseMs;
      this.#rejoinPauseMs = Math.min(this.#rejoinPauseMs * 2, LONGEST_REJOIN_MS);
      return await rejoin(signal);
    }
    this.#rejoinPauseMs = REJOIN_MS;
    const facts = this.#deps.facts();
    if (facts === undefined) return await this.#retract(signal);
    const known = this.#published;
    const text = JSON.stringify(facts);
    const isNew = known === undefined || known.facts !== text || dht.size >= 2 * known.tableSize;
    const isOld = known !== undefined && nowMs >= known.atMs + RECORD_LIFETIME_MS / 3;
    if (isNew || isOld) await this.#publish(facts, { isAll: isNew, signal });
  }

  async #publish(
    facts: RegistryFacts,
    { isAll, signal }: { isAll: boolean; signal: AbortSignal },
  ): Promise<void> {
    const { dht, identity, clock, logger } = this.#deps;
    const nowMs = clock.now();
    const known = this.#published;
    const tableSize = dht.size;
    const skills = facts.skills.map(({ id }) => id);
    const { signed } = this.#signer.sign(facts);
    const peers = await dht.put(agentKey(identity.peerId), encodeSignedRecord(signed), { signal });
    const isDue = isAll || known === undefined || nowMs >= known.providedAtMs + PROVIDE_MS;
    if (isDue) await this.#provide(skills, signal);
    for (const gone of known?.skills.filter((id) => !skills.includes(id)) ?? []) {
      await dht.stopProviding(skillName(gone));
    }
    signal.throwIfAborted();
    logger.debug("Published in the DHT", { skills, peers, tableSize });
    this.#published = {
      ...{ facts: JSON.stringify(facts), skills, atMs: nowMs, tableSize },
      providedAtMs: isDue ? nowMs : known.providedAtMs,
    };
  }

  async #provide(skills: readonly string[], signal: AbortSignal): Promise<void> {
    const left = [...skills];
    const work = async () => {
      for (let id = left.shift(); id !== undefined && !signal.aborted; id = left.shift()) {
        await this.#deps.dht.provide(skillName(id), { signal });
      }
    };
    await Promise.all(Array.from({ length: PROVIDED_TOGETHER }, work));
  }

  async #retract(signal: AbortSignal): Promise<void> {
    const { dht, identity } = this.#deps;
    const known = this.#published;
    if (known === undefined) return;
    this.#published = undefined;
    const { signed } = this.#signer.sign(NO_FACTS);
    for (const id of known.skills) await dht.stopProviding(skillName(id));
    await dht.put(agentKey(identity.peerId), encodeSignedRecord(signed), { signal });
  }

  async #within(ms: number, signal: AbortSignal, work: (limit: AbortSignal) => Promise<void>): Promise<void> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(new DOMException(`Not done in ${ms} ms`, "TimeoutError")), ms);
    try {
      await work(AbortSignal.any([signal, over.signal]));
    } finally {
      clearTimeout(timer);
    }
  }
}
