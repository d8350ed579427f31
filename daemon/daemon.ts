import { join } from "node:path";
import { Engine, type EngineOptions } from "../a2a/mod.ts";
import type { Config } from "../core/config.ts";
import type { Logger } from "../core/log.ts";
import { VERSION } from "../core/version.ts";
import { openIdentity } from "../identity/mod.ts";
import { openDenoKvStore } from "../kv/mod.ts";
import { openP2pHost, type P2pHost } from "../p2p/mod.ts";
import { openArtifactStreams } from "./artifacts/open_artifact_streams.ts";
import { CardBook } from "./cards.ts";
import { encodeEnvelope } from "./convert/envelope.ts";
import { createCallService } from "../rpc/call_service.ts";
import { createNodeServices } from "./grpc/node_service.ts";
import { startGrpcServer } from "../rpc/server.ts";
import { makeHome } from "./home.ts";
import { PeerAddresses } from "./store/peer_addresses.ts";
import { PeerWire } from "./peer/mod.ts";
import { KvTaskStore } from "./store/kv_task_store.ts";

/** A running daemon. Disposing it stops it in order: service, engine, network, store. */
export interface Daemon extends AsyncDisposable {
  readonly peerId: string;
  readonly didKey: string;
  /** Where the gRPC service answers: `unix:///path` or `tcp://host:port`. */
  readonly grpcAddress: string;
  /** Multiaddrs at which peers can dial this node, each ending in `/p2p/<id>`. */
  addresses(): string[];
  /** Resolves when a client asks the daemon to stop. */
  readonly stopRequested: Promise<void>;
}

/**
 * Starts everything `config` asks for; when it resolves, the gRPC service answers. A start that fails half-way undoes
 * what it did.
 * @throws CodedError `aborted` (another daemon has this home), `failed_precondition` (loose key; home that is no folder),
 * `invalid_argument`, `unavailable` (an address cannot be bound), `data_loss`, `permission_denied`.
 */
export async function startDaemon(config: Config, deps: { logger: Logger }): Promise<Daemon> {
  const { logger } = deps;
  await using stack = new AsyncDisposableStack();
  await makeHome(config.home, logger);
  const identity = await openIdentity(config.keyPath);
  const kv = stack.use(await openDenoKvStore({ directory: config.storePath }));
  const cards = await CardBook.open({ kv, identity, logger });
  const addresses = stack.use(new PeerAddresses({ kv, logger }));
  const store = new KvTaskStore({ kv, logger });
  const artifacts = await openArtifactStreams({
    folder: join(config.home, "artifacts"),
    store,
    host: () => host,
    engine: () => engine,
    logger: logger.child({ wire: "artifacts" }),
  });
  const wire = new PeerWire({ cards, artifacts, logger: logger.child({ wire: "p2p" }) }, {
    fastLane: config.enableFastLane,
  });
  const host = stack.use(await openHost(config, { seed: identity.seed, wire, addresses, logger }));
  await addresses.restore(host);
  stack.use(wire);
  stack.use(artifacts);
  const engine = stack.use(
    new Engine({
      store,
      streamed: artifacts.streamed,
      transport: wire.openTransport(host),
      encode: encodeEnvelope,
      logger,
    }, engineOptions(config)),
  );
  await engine.start();
  wire.serve(host, engine);
  const stop = Promise.withResolvers<void>();
  const services = createNodeServices({
    engine,
    streams: artifacts.streams,
    host,
    cards,
    exchange: wire,
    home: config.home,
    startedAtMs: Date.now(),
    requestStop: stop.resolve,
  });
  const server = stack.use(
    await startGrpcServer({ services: [...services, createCallService({ services, logger })], logger }, {
      listen: config.grpcListen,
    }),
  );
  const owned = stack.move();
  return {
    peerId: identity.peerId,
    didKey: identity.didKey,
    grpcAddress: server.address,
    addresses: () => host.addresses(),
    stopRequested: stop.promise,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function openHost(
  config: Config,
  { seed, wire, addresses, logger }: {
    seed: Uint8Array;
    wire: PeerWire;
    addresses: PeerAddresses;
    logger: Logger;
  },
): Promise<P2pHost> {
  const onPeerAddresses = addresses.note.bind(addresses);
  return openP2pHost({
    seed,
    handlers: { ...wire.handlers, onPeerAddresses },
    logger: logger.child({ room: "p2p" }),
  }, {
    listen: config.listenAddrs,
    bootstrapPeers: config.bootstrapPeers,
    channelProtocols: wire.channelProtocols,
    mdns: {
      enabled: config.enableMdns,
      serviceTag: config.mdnsServiceTag,
      interfaces: config.mdnsInterfaces,
    },
    agentVersion: `agentanycast/${VERSION}`,
  });
}

function engineOptions(config: Config): EngineOptions {
  return {
    envelopeTtlMs: config.offlineQueueTtlMs,
    agentTimeoutMs: config.tasks.agentTimeoutMs,
    idleTimeoutMs: config.tasks.idleTimeoutMs,
    keepMs: config.tasks.keepMs,
    keepTasks: config.tasks.keepCount,
    offers: { leaseMs: config.tasks.claimLeaseMs },
    delivery: { room: { maxPerPeer: config.offlineQueueMax } },
  };
}
