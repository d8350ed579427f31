import { CodedError } from "../../core/errors.ts";
import type { Registration, RegistryClient } from "../../registry/mod.ts";
import { isLoopbackAddress } from "./loopback.ts";
import type { DiscoveredAgent, DiscoverQuery, DiscoveryProvider } from "./model.ts";
import type { ResolvedQuery } from "./query.ts";
import { resolveQuery } from "./query.ts";

/** Registrations asked for at once. */
const PAGE_SIZE = 200;

export interface RegistryProviderDeps {
  /** For people, and for agents of which the registry does not say where they registered. */
  name: string;
  client: Pick<RegistryClient, "find">;
  /** Whether the registry runs on this machine, so that addresses on loopback mean something here. */
  isOnThisMachine(): boolean;
}

/** The agents that a registry knows, those it has from other registries included. */
export function createRegistryProvider(deps: RegistryProviderDeps): DiscoveryProvider {
  const { name, client } = deps;
  return {
    name,
    isLocal: false,
    async find(query, { signal }) {
      try {
        return await findAll(query, signal);
      } catch (error) {
        // Whoever is no registry knows nobody.
        if (error instanceof CodedError && error.code === "unimplemented") return [];
        throw error;
      }
    },
  };

  async function findAll(query: DiscoverQuery, signal: AbortSignal): Promise<readonly DiscoveredAgent[]> {
    const wanted: ResolvedQuery = resolveQuery(query);
    const found: DiscoveredAgent[] = [];
    let pageToken = "";
    do {
      const page = await client.find({
        ...wanted,
        pageToken,
        limit: Math.min(PAGE_SIZE, wanted.limit - found.length),
      }, { signal });
      found.push(...page.agents.map((agent) => toAgent(agent, deps)));
      pageToken = page.nextPageToken;
    } while (pageToken !== "" && found.length < wanted.limit);
    return found;
  }
}

function toAgent(agent: Registration, { name, isOnThisMachine }: RegistryProviderDeps): DiscoveredAgent {
  const { peerId, description, skills, verified, lastSeenMs, viaRelayId, addresses } = agent;
  return {
    peerId,
    name: agent.name,
    description,
    skills,
    verified,
    lastSeenMs,
    via: [viaRelayId === "" ? name : `relay ${viaRelayId}`],
    addresses: isOnThisMachine() ? addresses : addresses.filter((address) => !isLoopbackAddress(address)),
  };
}
