import { duration, flag, list, oneOf, optionalPath, optionalText, text } from "../setting.ts";

/** How agents that offer a skill are found and chosen, and whether this node's is. */
export const ANYCAST_SETTINGS = {
  registryAddrs: list(
    [],
    "gRPC addresses (host:port, tls://host:port) of registries, besides the relays among the bootstrap peers",
    {
      env: "AGENTANYCAST_REGISTRY_ADDRS",
    },
  ),
  registryAddr: optionalText("one more of them, as configurations of the existing network have it", {
    ...{ env: null, flag: null },
  }),
  registryCa: optionalPath(
    "PEM file with the certificates that registries at tls://host:port are trusted by",
  ),
  autoRegister: flag(true, "register the own agent with relays and registries"),
  routingStrategy: oneOf(
    ["random", "round-robin", "least-latency", "least-loaded", "sticky"],
    "random",
    "how an agent is chosen: random, round-robin, least-latency, least-loaded or sticky (by conversation)",
  ),
  enableDht: flag(false, "find agents, and be found, by a distributed hash table that needs no relay"),
  dhtMode: oneOf(
    ["auto", "server", "client"],
    "auto",
    "server keeps entries for others, client only asks, auto is a server where peers can dial it",
  ),
  dhtProtocol: text(
    "/agentanycast/kad/1.0.0",
    "protocol of the hash table (/ipfs/kad/1.0.0 meets the existing network)",
  ),
  cacheTtlMs: duration(30_000, "how long found agents are used without asking again"),
  emptyCacheTtlMs: duration(2_000, "how long nobody is asked again for a skill that nobody offers"),
  findTimeoutMs: duration(
    60_000,
    "a task for a skill fails when no agent can be found or reached for this time",
  ),
  answerTimeoutMs: duration(
    5 * 60_000,
    "a task for a skill fails when the agent that may have it does not say so for this time",
  ),
};
