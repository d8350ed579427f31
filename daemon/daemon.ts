import { Engine } from "../a2a/mod.ts";
import type { Config } from "../core/config.ts";
import type { Logger } from "../core/log.ts";
import { VERSION } from "../core/version.ts";
import { openIdentity } from "../identity/mod.ts";
import { openDenoKvStore } from "../kv/mod.ts";
import { openP2pHost } from "../p2p/mod.ts";
import { CardBook } from "./cards.ts";
import { createNodeServices } from "./grpc/node_service.ts";
import { startGrpcServer } from "./grpc/server.ts";
import { makeHome } from "./home.ts";
import { createEnvelopeTransport, PeerWire } from "./peer/mod.ts";
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
  const cards = await CardBook.open({ kv, peerId: identity.peerId, logger });
  const wire = new PeerWire({ cards, logger: logger.child({ wire: "p2p" }) });
  const host = stack.use(
    await openP2pHost(
      { seed: identity.seed, handlers: wire.handlers, logger: logger.child({ room: "p2p" }) },
      {
        listen: config.listenAddrs,
        bootstrapPeers: config.bootstrapPeers,
        mdns: {
          enabled: config.enableMdns,
          serviceTag: config.mdnsServiceTag,
          interfaces: config.mdnsInterfaces,
        },
        agentVersion: `agentanycast/${VERSION}`,
      },
    ),
  );
  stack.use(wire);
  const engine = stack.use(
    new Engine({ store: new KvTaskStore({ kv, logger }), transport: createEnvelopeTransport(host), logger }, {
      envelopeTtlMs: config.offlineQueueTtlMs,
    }),
  );
  await engine.start();
  wire.serve(host, engine);
  const stop = Promise.withResolvers<void>();
  const services = createNodeServices({
    engine,
    host,
    cards,
    exchange: wire,
    home: config.home,
    startedAtMs: Date.now(),
    requestStop: stop.resolve,
  });
  const server = stack.use(await startGrpcServer({ services, logger }, { listen: config.grpcListen }));
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
