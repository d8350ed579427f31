import { type Clock, systemClock } from "../../core/clock.ts";
import type { Dht, Provider } from "../../p2p/mod.ts";
import { agentKey, openDhtRecord, skillName } from "./dht_records.ts";
import type { DiscoveredAgent, DiscoveryProvider } from "./model.ts";

export interface DhtProviderDeps {
  dht: Pick<Dht, "findProviders" | "get">;
  /** Whether a peer counts that has left no record: those of the existing network cannot. */
  takesBare: boolean;
  clock?: Clock;
}

/** How long the table is asked; what was found until then is the answer. */
const LIMIT_MS = 2_500;
/** Agents whose records are asked for. */
const MAX_AGENTS = 20;

/** The agents that the DHT knows to have a skill; of other queries it knows nothing. */
export function createDhtProvider(
  { dht, takesBare, clock = systemClock }: DhtProviderDeps,
): DiscoveryProvider {
  const toAgent = async (
    { peerId, addresses }: Provider,
    { skill, signal }: { skill: string; signal: AbortSignal },
  ): Promise<DiscoveredAgent[]> => {
    const key = agentKey(peerId);
    const value = await dht.get(key, { signal });
    if (value === undefined) return takesBare ? [bareAgent({ peerId, addresses }, skill)] : [];
    const record = openDhtRecord(key, value, clock.now());
    if (record.removed) return [];
    return [{
      ...{ peerId, name: record.name, description: record.description, skills: record.skills },
      verified: true,
      lastSeenMs: record.issuedAtMs,
      via: ["dht"],
      addresses: [...new Set([...record.addresses, ...addresses])],
    }];
  };
  return {
    name: "dht",
    isLocal: false,
    async find({ skill }, { signal }) {
      if (skill === undefined) return [];
      const over = new AbortController();
      const timer = setTimeout(() => over.abort(), LIMIT_MS);
      const limit = AbortSignal.any([signal, over.signal]);
      const found: DiscoveredAgent[] = [];
      const asked: Promise<void>[] = [];
      try {
        for await (const provider of dht.findProviders(skillName(skill), { signal: limit })) {
          asked.push(
            toAgent(provider, { skill, signal: limit }).then((agents) => void found.push(...agents), () => {
              // A record that does not hold is none.
            }),
          );
          if (asked.length === MAX_AGENTS) break;
        }
        await Promise.all(asked);
        return found;
      } finally {
        clearTimeout(timer);
        over.abort();
      }
    },
  };
}

function bareAgent({ peerId, addresses }: Provider, skill: string): DiscoveredAgent {
  return {
    ...{ peerId, name: "", description: "", verified: false, lastSeenMs: 0, via: ["dht"], addresses },
    skills: [{ id: skill, description: "", tags: {} }],
  };
}
