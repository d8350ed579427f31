import type { DiscoveredAgent } from "./model.ts";

/** Addresses kept of one agent. */
const MAX_ADDRESSES = 16;

/**
 * What several sources say, each peer once: what is proven counts before what is not, else the latest word. Ordered: proven
 * ones first, then by peer id.
 */
export function mergeAgents(found: Iterable<DiscoveredAgent>): DiscoveredAgent[] {
  const byPeer = new Map<string, DiscoveredAgent>();
  for (const agent of found) {
    const known = byPeer.get(agent.peerId);
    byPeer.set(agent.peerId, known === undefined ? agent : merge(known, agent));
  }
  const order = (agent: DiscoveredAgent) => `${agent.verified ? 0 : 1}${agent.peerId}`;
  return [...byPeer.values()].sort((a, b) => order(a) < order(b) ? -1 : 1);
}

function merge(a: DiscoveredAgent, b: DiscoveredAgent): DiscoveredAgent {
  const isBetter = a.verified === b.verified ? b.lastSeenMs > a.lastSeenMs : b.verified;
  const [better, other] = isBetter ? [b, a] : [a, b];
  return {
    ...better,
    lastSeenMs: Math.max(a.lastSeenMs, b.lastSeenMs),
    via: [...new Set([...a.via, ...b.via])],
    addresses: [...new Set([...better.addresses, ...other.addresses])].slice(0, MAX_ADDRESSES),
  };
}
