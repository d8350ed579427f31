import type { AgentCard } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { PeerConnection } from "../../p2p/mod.ts";
import type { DiscoveredAgent, DiscoveryProvider } from "./model.ts";
import { toLabels } from "./query.ts";

/** What looking at cards needs. */
export interface CardProviderDeps {
  /** The connected peers. */
  peers(): readonly PeerConnection[];
  /** The card at hand of a peer, if there is one. */
  cardOf(peerId: string): Promise<AgentCard | undefined>;
  clock?: Clock;
}

/** The agents of connected peers, neighbours found by mDNS among them, by the cards that they have shown. */
export function createCardProvider(
  { peers, cardOf, clock = systemClock }: CardProviderDeps,
): DiscoveryProvider {
  const toAgent = async (peer: PeerConnection): Promise<DiscoveredAgent[]> => {
    const card = await cardOf(peer.peerId);
    if (card === undefined) return [];
    return [{
      peerId: peer.peerId,
      name: card.name,
      description: card.description,
      skills: card.skills.map(({ id, description, tags }) => ({ id, description, tags: toLabels(tags) })),
      verified: true,
      lastSeenMs: clock.now(),
      via: [peer.foundBy === "mdns" ? "mdns" : "peer"],
      addresses: peer.addresses,
    }];
  };
  return {
    name: "connected peers",
    isLocal: true,
    find: async () => (await Promise.all(peers().map(toAgent))).flat(),
  };
}
