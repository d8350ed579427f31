/** How an agent is chosen among those that offer a skill. */
export const STRATEGIES = ["random", "round-robin", "least-latency", "least-loaded", "sticky"] as const;

/** One of {@link STRATEGIES}. */
export type Strategy = (typeof STRATEGIES)[number];

/** What a choice is made for. */
export interface Choice {
  readonly skillId: string;
  /** `sticky` gives all tasks of a conversation to one agent. */
  readonly contextId: string;
}

export interface ChooserDeps {
  /** Round trip to a peer in milliseconds; `Infinity` when it cannot be measured. */
  latencyOf(peerId: string): Promise<number>;
  /** Unfinished tasks of this node at a peer. */
  loadOf(peerId: string): number;
  /** From 0 to 1. Default `Math.random`. */
  random?: () => number;
}

/** Skills of which the next turn is remembered, and conversations whose agent is. */
const MAX_SKILLS = 1_000;
const MAX_CONTEXTS = 10_000;

/** Puts agents in the order in which they are tried. */
export class Chooser {
  readonly #deps: ChooserDeps;
  readonly #strategy: Strategy;
  readonly #random: () => number;
  /** The peer that had the last turn, by skill. */
  readonly #turns = new Map<string, string>();
  /** By conversation. */
  readonly #agents = new Map<string, string>();

  constructor(strategy: Strategy, deps: ChooserDeps) {
    this.#strategy = strategy;
    this.#deps = deps;
    this.#random = deps.random ?? Math.random;
  }

  /** The peers, the one to try first comes first. */
  async order(peerIds: readonly string[], choice: Choice): Promise<readonly string[]> {
    switch (this.#strategy) {
      case "random":
        return this.#shuffle(peerIds);
      case "round-robin":
        return this.#rotate(peerIds, choice.skillId);
      case "least-loaded":
        return sortBy(this.#shuffle(peerIds), (peerId) => this.#deps.loadOf(peerId));
      case "least-latency": {
        const latencies = await Promise.all(
          peerIds.map(async (peerId) => [peerId, await this.#deps.latencyOf(peerId)] as const),
        );
        const latencyMs = new Map(latencies);
        return sortBy(this.#shuffle(peerIds), (peerId) => latencyMs.get(peerId) ?? Infinity);
      }
      case "sticky":
        return await this.#stick(peerIds, choice.contextId);
      default:
        return this.#strategy satisfies never;
    }
  }

  #shuffle(peerIds: readonly string[]): string[] {
    const keys = new Map(peerIds.map((peerId) => [peerId, this.#random()]));
    return sortBy(peerIds, (peerId) => keys.get(peerId) ?? 0);
  }

  /** In the order of their ids, beginning behind the one that had the last turn. */
  #rotate(peerIds: readonly string[], skillId: string): readonly string[] {
    const sorted = [...peerIds].sort();
    const last = this.#turns.get(skillId);
    const behind = last === undefined ? 0 : sorted.findIndex((peerId) => peerId > last);
    const from = Math.max(0, behind);
    const [first] = [...sorted.slice(from), ...sorted.slice(0, from)];
    if (first !== undefined) remember(this.#turns, skillId, first, MAX_SKILLS);
    return [...sorted.slice(from), ...sorted.slice(0, from)];
  }

  /**
   * The agent that the conversation had before, then by the highest of hashes of conversation and peer: other nodes, and this
   * one after a restart, choose alike, and an agent that goes takes only its own conversations along.
   */
  async #stick(peerIds: readonly string[], contextId: string): Promise<readonly string[]> {
    const weights = new Map<string, number>();
    for (const peerId of peerIds) {
      const bytes = new TextEncoder().encode(`${contextId}\0${peerId}`);
      weights.set(peerId, new DataView(await crypto.subtle.digest("SHA-256", bytes)).getUint32(0));
    }
    const byWeight = sortBy(peerIds, (peerId) => -(weights.get(peerId) ?? 0));
    const before = this.#agents.get(contextId);
    const isThere = before !== undefined && peerIds.includes(before);
    const ordered = isThere ? [before, ...byWeight.filter((peerId) => peerId !== before)] : byWeight;
    const [first] = ordered;
    if (first !== undefined) remember(this.#agents, contextId, first, MAX_CONTEXTS);
    return ordered;
  }
}

function sortBy(peerIds: readonly string[], keyOf: (peerId: string) => number): string[] {
  return [...peerIds].sort((a, b) => keyOf(a) === keyOf(b) ? 0 : keyOf(a) - keyOf(b));
}

/** Sets the entry as the newest one; the oldest one of too many goes. */
function remember(map: Map<string, string>, key: string, value: string, most: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
