import { join } from "node:path";
import { type ArtifactStreams, Engine, type EngineOptions } from "../a2a/mod.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Config } from "../core/config.ts";
import type { Logger } from "../core/log.ts";
import type { NodeMeter } from "../core/node_metrics.ts";
import type { Tracer } from "../core/tracer.ts";
import { VERSION } from "../core/version.ts";
import { type Identity, openIdentity } from "../identity/mod.ts";
import { type KvStore, openDenoKvStore } from "../kv/mod.ts";
import { openP2pHost, type P2pHandlers, type P2pHost, type PeerConnection } from "../p2p/mod.ts";
import { AgentNetwork, type AgentNetworkDeps } from "./agent_network.ts";
import { AttachedAgents } from "./agents.ts";
import { type Anycast, dhtOptions, openAnycast } from "./anycast/open_anycast.ts";
import { openArtifactStreams } from "./artifacts/open_artifact_streams.ts";
import { OwnReach } from "./card_reach.ts";
import { CardBook } from "./cards.ts";
import { encodeEnvelope } from "./convert/envelope.ts";
import { makeHome } from "../core/home.ts";
import {
  measureCommits,
  type NodeMetrics,
  openNodeMetrics,
  openNodeTracer,
  toEngineObserver,
  traceReceived,
} from "./metrics/mod.ts";
import type { NodeParts } from "./node_parts.ts";
import { openRemote } from "./remote/open_remote.ts";
import { toReachOptions } from "./reach.ts";
import { RelayReturn } from "./relay_return.ts";
import { callerRoute, routeTransports } from "./routed_transport.ts";
import { openPolicy, type Policy } from "./policy/mod.ts";
import { openTrust, type Trust } from "./trust/mod.ts";
import { PeerAddresses } from "./store/peer_addresses.ts";
import { PeerWire } from "./peer/mod.ts";
import { KvTaskStore } from "./store/kv_task_store.ts";

/** What the wires of a daemon work with: the store, the network and the engine. */
export interface DaemonCore {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly kv: KvStore;
  readonly cards: CardBook;
  readonly host: P2pHost;
  readonly wire: PeerWire;
  readonly engine: Engine;
  readonly streams: ArtifactStreams;
  readonly network: AgentNetwork;
  readonly trust: Trust;
  readonly metrics: NodeMetrics & { readonly tracer: Tracer };
  readonly policy: Policy;
  readonly agents: AttachedAgents;
}

/** How long a node that stops waits for its peers to take what it has for them. */
const FLUSH_MS = 2_000;

/** What opening the core needs. */
export interface CoreDeps {
  readonly logger: Logger;
  readonly stack: AsyncDisposableStack;
  /** Default: sockets, files and the wall clock. */
  readonly parts?: NodeParts | undefined;
  /** Ends the opening. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens the core; `stack` closes what it opened, in reverse order. Throws as `startDaemon`. */
export async function openDaemonCore(config: Config, deps: CoreDeps): Promise<DaemonCore> {
  const { logger, stack, parts } = deps;
  const clock = parts?.clock ?? systemClock;
  const own = await openOwn(config, { ...deps, onOwnCard: () => anycast?.cardChanged() });
  const { identity, kv, cards, metrics: { meter, tracer } } = own;
  const addresses = stack.use(new PeerAddresses({ kv, logger }));
  const store = new KvTaskStore({ kv, logger });
  const artifacts = await openArtifactStreams({
    ...{ clock, store, meter, spool: parts?.openSpool() ?? join(config.home, "artifacts") },
    host: () => host,
    engine: () => engine,
    logger: logger.child({ wire: "artifacts" }),
  });
  const wire = new PeerWire({ cards, artifacts, identity, logger: logger.child({ wire: "p2p" }) }, {
    fastLane: config.enableFastLane,
    sealing: config.policy.encryption,
    clock,
  });
  let anycast: Anycast | undefined = undefined as Anycast | undefined;
  const relayReturn = stack.use(new RelayReturn({ clock }));
  const agents = openAgents(own, { clock, logger, wire, host: () => host, engine: () => engine });
  const onPeer = (peer: PeerConnection) => notePeer(peer, { meter, relayReturn, anycast, agents });
  const host = stack.use(await openHost(config, { ...own, wire, addresses, logger, onPeer, agents, parts }));
  await addresses.restore(host);
  stack.use(wire);
  stack.use(artifacts);
  const cardOf: AgentNetworkDeps["cardOf"] = (peerId, options) => wire.cardOf(peerId, options);
  const policy = stack.use(openPolicy(config, { ...own, clock, logger, host: () => host, cardOf }));
  anycast = await openAnycast({
    ...{ config, identity, host, cards, meter, clock, logger: logger.child({ room: "anycast" }) },
    engine: () => engine,
    knownPeers: () => addresses.peers(),
  });
  const remote = await openRemote(config, { ...own, logger, engine: () => engine });
  const engine: Engine = stack.use(
    new Engine({
      store,
      finder: anycast.finder,
      admit: policy.admit,
      admitSend: policy.admitSend,
      streamed: artifacts.streamed,
      transport: routeTransports(wire.openTransport(host), [callerRoute, remote.route]),
      encode: encodeEnvelope,
      observer: toEngineObserver({ meter, tracer, logger }),
      ...{ clock, logger },
    }, engineOptions(config, parts)),
  );
  await engine.start({ agentIds: await AttachedAgents.ofEarlierRun({ kv, logger }) });
  stack.use(agents);
  relayReturn.serve(engine);
  wire.serve(host, traceReceived(engine, tracer));
  stack.use(own.ownReach).serve({ host, cards, wire, logger });
  stack.use(anycast).start();
  await stack.use(remote).start();
  const network = new AgentNetwork({ engine, host, cards, cardOf, anycast, tracer, sendToUrl: remote.send });
  const streams = artifacts.streams;
  return { ...own, config, clock, logger, host, wire, engine, streams, network, policy, agents };
}

function openAgents(
  { kv, cards }: Pick<DaemonCore, "kv" | "cards">,
  { clock, logger, wire, host, engine }: Pick<DaemonCore, "clock" | "logger" | "wire"> & {
    host: () => P2pHost;
    engine: () => Engine;
  },
): AttachedAgents {
  return new AttachedAgents({
    ...{ kv, cards, clock, logger },
    announceCard: () => wire.announceCard(),
    peers: () => host().peers(),
    onGone: (agentId) => engine().forgetAgent(agentId),
  });
}

function notePeer(
  peer: PeerConnection,
  { meter, relayReturn, anycast, agents }: {
    meter: NodeMeter;
    relayReturn: RelayReturn;
    anycast: Anycast | undefined;
    agents: AttachedAgents;
  },
): void {
  const { peerId, direction, transport, foundBy } = peer;
  meter.count("connections_total", { direction });
  meter.count("connections_by_transport", { transport });
  anycast?.peerConnected(peerId);
  agents.peerConnected(peer);
  if (foundBy === "bootstrap") relayReturn.connected();
}

/** What a node has before it meets others. */
interface Own extends Pick<DaemonCore, "identity" | "kv" | "cards" | "trust" | "metrics"> {
  readonly ownReach: OwnReach;
}

async function openOwn(
  config: Config,
  { logger, stack, parts, signal, onOwnCard }: CoreDeps & { onOwnCard: () => void },
): Promise<Own> {
  signal?.throwIfAborted();
  if (parts === undefined) await makeHome(config.home, logger);
  const identity = parts?.identity ?? await openIdentity(config.keyPath);
  const tracer = await openNodeTracer(config.telemetry, { stack });
  const metrics = { ...await openNodeMetrics(config.metrics), tracer };
  const openStore = parts?.openStore ?? (() => openDenoKvStore({ directory: config.storePath }));
  const kv = measureCommits(stack.use(await openStore()), metrics.meter);
  const trust = stack.use(openTrust(config, { identity }));
  const ownReach = new OwnReach();
  const proofs = parts === undefined ? trust.cardAdditions : () => Promise.resolve(trust.dids);
  const additions = async () => ({ credentials: [], ...await proofs(), ...ownReach.now() });
  const cards = await CardBook.open({
    ...{ kv, identity, logger, additions, clock: parts?.clock ?? systemClock },
    onOwnCard() {
      onOwnCard();
      ownReach.changed();
    },
  });
  signal?.throwIfAborted();
  return { identity, kv, cards, trust, metrics, ownReach };
}

function openHost(
  config: Config,
  { identity: { seed }, ownReach, wire, addresses, logger, onPeer, agents, parts }: {
    parts: NodeParts | undefined;
    agents: AttachedAgents;
    identity: Identity;
    wire: PeerWire;
    addresses: PeerAddresses;
    logger: Logger;
    onPeer: (peer: PeerConnection) => void;
    ownReach: OwnReach;
  },
): Promise<P2pHost> {
  const onPeerAddresses = addresses.note.bind(addresses);
  const onPeerConnected: P2pHandlers["onPeerConnected"] = (peer) => {
    wire.handlers.onPeerConnected(peer);
    onPeer(peer);
  };
  const onPeerDisconnected: P2pHandlers["onPeerDisconnected"] = (peerId) => {
    wire.handlers.onPeerDisconnected(peerId);
    agents.peerDisconnected(peerId);
  };
  const deps = {
    handlers: {
      ...wire.handlers,
      onPeerConnected,
      onPeerDisconnected,
      onPeerAddresses,
      onOwnAddresses: () => ownReach.changed(),
    },
    logger: logger.child({ room: "p2p" }),
  };
  if (parts !== undefined) {
    return Promise.resolve(parts.openHost({ ...deps, channelProtocols: wire.channelProtocols }));
  }
  return openP2pHost({ seed, ...deps }, {
    ...toReachOptions(config),
    channelProtocols: wire.channelProtocols,
    dht: dhtOptions(config),
    mdns: {
      enabled: config.enableMdns,
      serviceTag: config.mdnsServiceTag,
      interfaces: config.mdnsInterfaces,
    },
    agentVersion: `agentanycast/${VERSION}`,
  });
}

/** In memory the clock may stand still: whoever tests settles first. */
function engineOptions(config: Config, parts: NodeParts | undefined): EngineOptions {
  const flushMs = parts === undefined ? FLUSH_MS : 0;
  return {
    envelopeTtlMs: config.offlineQueueTtlMs,
    agentTimeoutMs: config.tasks.agentTimeoutMs,
    idleTimeoutMs: config.tasks.idleTimeoutMs,
    keepMs: config.tasks.keepMs,
    keepTasks: config.tasks.keepCount,
    offers: { leaseMs: config.tasks.claimLeaseMs },
    routing: {
      findTimeoutMs: config.anycast.findTimeoutMs,
      answerTimeoutMs: config.anycast.answerTimeoutMs,
    },
    delivery: { room: { maxPerPeer: config.offlineQueueMax }, flushMs },
  };
}
