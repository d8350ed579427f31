import type { Engine, RouteFinder } from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import type { Config } from "../../core/config.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { parseRpcAddress } from "../../core/rpc_address.ts";
import type { Identity } from "../../identity/mod.ts";
import {
  type Dht,
  type DhtOptions,
  EXISTING_NETWORK_DHT_PROTOCOL,
  type P2pHost,
  parsePeerTarget,
  REGISTRY_PROTOCOL,
} from "../../p2p/mod.ts";
import { RegistryClient } from "../../registry/mod.ts";
import { createChannelClient } from "../../rpc/channel_calls.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import type { TargetSender } from "../agent_network.ts";
import type { CardBook } from "../cards.ts";
import { AgentFinder } from "./agent_finder.ts";
import { createCardProvider } from "./card_provider.ts";
import { createDhtProvider } from "./dht_provider.ts";
import { DhtPublisher } from "./dht_publisher.ts";
import { DHT_RECORDS } from "./dht_records.ts";
import { Directory } from "./directory.ts";
import { Latencies } from "./latencies.ts";
import { isLoopbackAddress } from "./loopback.ts";
import type { DiscoverQuery, Discovery, DiscoveryProvider } from "./model.ts";
import { ownFacts } from "./own_facts.ts";
import { Registrar } from "./registrar.ts";
import { createRegistryProvider } from "./registry_provider.ts";
import { Chooser } from "./strategy.ts";

export interface AnycastDeps {
  config: Config;
  identity: Identity;
  host: P2pHost;
  cards: Pick<CardBook, "own" | "of">;
  /** Not asked for before the first task. */
  engine: () => Pick<Engine, "sendTask" | "loadOf">;
  /** Peers that were met before, the one met last first. */
  knownPeers(): readonly string[];
  meter: Pick<NodeMeter, "count">;
  clock: Clock;
  logger: Logger;
}

/** Who does what in the network: finding agents, and being found. Disposing it takes this node out of all registries. */
export interface Anycast extends AsyncDisposable {
  readonly finder: RouteFinder;
  /** The agents that fit. @throws CodedError `invalid_argument`, `unavailable` (nobody can be asked), `cancelled`. */
  discover(query: DiscoverQuery, options?: { signal?: AbortSignal | undefined }): Promise<Discovery>;
  /** Creates a task for the first agent that takes it. Throws as `Engine.sendTask`. */
  readonly send: TargetSender<"skill">;
  /** Begins to register the own agent. */
  start(): void;
  /** The own card is another one. */
  cardChanged(): void;
  /** A peer is there, which may be a relay. */
  peerConnected(peerId: string): void;
}

/** Peers met before, and agents of registries, that are dialed at once to get into the DHT. */
const MAX_REJOINED = 8;

/** A registry that this node knows. */
interface Registry {
  readonly name: string;
  /** Of a relay that is spoken to over libp2p. */
  readonly peerId: string | undefined;
  readonly client: RegistryClient;
  isOnThisMachine(): boolean;
}

/** Anycast over `host`. Throws `invalid_argument` for the address of a registry that is none, or a `registry_ca` that is not there. */
export async function openAnycast(deps: AnycastDeps): Promise<Anycast> {
  const { config, host, cards, clock, logger, engine } = deps;
  const ca = await readCertificates(config.anycast.registryCa);
  const registries = [
    ...relaysOf(config).filter((peerId) => peerId !== host.peerId).map((peerId) =>
      relayRegistry(host, peerId)
    ),
    ...registryAddresses(config).map((address) => grpcRegistry(address, ca)),
  ];
  const providers: DiscoveryProvider[] = [
    createCardProvider({ clock, peers: () => host.peers(), cardOf: (peerId) => cards.of(peerId) }),
    ...registries.map(createRegistryProvider),
    ...host.dht === undefined ? [] : [createDhtProvider({ dht: host.dht, takesBare: isExistingDht(config) })],
  ];
  const directory = new Directory({ providers, peerId: host.peerId, clock, logger }, {
    ttlMs: config.anycast.cacheTtlMs,
    emptyTtlMs: config.anycast.emptyCacheTtlMs,
  });
  const latencies = new Latencies({ clock, ping: (peerId, options) => host.ping(peerId, options) });
  const chooser = new Chooser(config.anycast.routingStrategy, {
    latencyOf: (peerId) => latencies.of(peerId),
    loadOf: (peerId) => engine().loadOf(peerId),
  });
  const finder = new AgentFinder({
    directory,
    chooser,
    clock,
    remember: (peerId, addresses) => host.remember(peerId, addresses),
    onLookup: (result) => deps.meter.count("route_resolutions_total", { result }),
  });
  const registrars = registries.map((registry) => ({
    ...registry,
    registrar: createRegistrar(registry, deps),
  }));
  const stop = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  return {
    finder,
    discover: (query, { signal } = {}) => directory.discover(query, signal === undefined ? {} : { signal }),
    send: ({ skillId, tags = {} }, task) =>
      engine().sendTask({ ...task, peerId: "", route: { skillId, tags } }),
    start() {
      if (!config.anycast.autoRegister) return;
      const publishers = host.dht === undefined ? [] : [createDhtPublisher(host.dht, deps, directory)];
      running = Promise.all(
        [...registrars.map(({ registrar }) => registrar), ...publishers].map((one) => one.run(stop.signal)),
      );
    },
    cardChanged: () => registrars.forEach(({ registrar }) => registrar.wake()),
    peerConnected(peerId) {
      for (const one of registrars) if (one.peerId === peerId) one.registrar.wake();
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new CodedError("cancelled", "The daemon is stopping"));
      await running;
      for (const { client } of registries) client[Symbol.dispose]();
    },
  };
}

function createRegistrar(
  { name, client }: Registry,
  { identity, host, cards, clock, logger }: AnycastDeps,
): Registrar {
  return new Registrar({
    ...{ name, client, identity, logger },
    facts: () => ownFacts(cards.own, host.addresses()),
    clock,
  });
}

/** How the host takes part in the DHT; undefined: not at all. */
export function dhtOptions({ anycast: { enableDht, dhtMode: mode, dhtProtocol: protocol } }: Config) {
  return enableDht ? { ...DHT_RECORDS, mode, protocol } satisfies DhtOptions : undefined;
}

/** Whether it is the DHT of the existing network, whose nodes keep no records of agents. */
function isExistingDht({ anycast: { dhtProtocol } }: Config): boolean {
  return dhtProtocol === EXISTING_NETWORK_DHT_PROTOCOL;
}

function createDhtPublisher(
  dht: Dht,
  { identity, host, cards, knownPeers, clock, logger }: AnycastDeps,
  directory: Directory,
): DhtPublisher {
  return new DhtPublisher({
    ...{ dht, identity, logger },
    facts: () => ownFacts(cards.own, host.addresses()),
    clock,
    async rejoin(signal) {
      const { agents } = await directory.discover({ limit: MAX_REJOINED }, { signal });
      await Promise.all(agents.map(({ peerId, addresses }) => host.remember(peerId, addresses)));
      const peers = [...knownPeers().slice(0, MAX_REJOINED), ...agents.map(({ peerId }) => peerId)]
        .filter((peerId) => !host.isConnected(peerId));
      await Promise.allSettled(peers.map((peerId) => host.connect(peerId, [], { signal })));
    },
  });
}

/** Peers that may be relays, each once: a peer that is none says so when it is asked. */
function relaysOf(config: Config): string[] {
  return [
    ...new Set(
      config.bootstrapPeers.map((address) => parsePeerTarget(address).peerId),
    ),
  ];
}

function registryAddresses({ anycast: { registryAddr, registryAddrs } }: Config): string[] {
  return [...new Set([...registryAddr === undefined ? [] : [registryAddr], ...registryAddrs])];
}

function relayRegistry(host: P2pHost, peerId: string): Registry {
  const calls = createChannelClient((signal) => host.openChannel(peerId, REGISTRY_PROTOCOL, { signal }));
  return {
    name: `relay ${peerId}`,
    peerId,
    client: new RegistryClient({ calls }),
    isOnThisMachine: () => {
      const relay = host.peers().find((peer) => peer.peerId === peerId);
      return relay !== undefined && isLoopbackAddress(relay.address);
    },
  };
}

async function readCertificates(path: string | undefined): Promise<string | undefined> {
  try {
    return path === undefined ? undefined : await Deno.readTextFile(path);
  } catch (cause) {
    throw new CodedError(
      "invalid_argument",
      `The certificates of registries cannot be read: ${errorMessage(cause)}; see anycast.registry_ca`,
      { cause },
    );
  }
}

function grpcRegistry(given: string, ca: string | undefined): Registry {
  const address = parseRpcAddress(given);
  const isNear = address.kind === "unix" || /^(localhost|127\.|::1$)/.test(address.host);
  return {
    name: `registry ${given}`,
    peerId: undefined,
    client: new RegistryClient({ calls: createRpcClient(given, { ca }) }),
    isOnThisMachine: () => isNear,
  };
}
