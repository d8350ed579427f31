import type { Config } from "../core/config.ts";
import type { Logger, LogLevelControl } from "../core/log.ts";
import { ownCardKey } from "../kv/mod.ts";
import { readDeadWebhooks } from "./a2a_api/push/webhook_record.ts";
import { startMetricsServer, watchNode } from "./metrics/mod.ts";
import type { HttpServer } from "../http/mod.ts";
import { startAnpServer } from "./start_anp.ts";
import { type BridgeAddresses, startBridge } from "./start_bridge.ts";
import { type DaemonCore, openDaemonCore } from "./daemon_core.ts";
import { createCallService } from "../rpc/call_service.ts";
import { createNodeServices } from "./grpc/node_service.ts";
import { type GrpcServer, startGrpcServer } from "../rpc/server.ts";

/** A running daemon. Disposing it stops it in order: service, engine, network, store. */
export interface Daemon extends AsyncDisposable, BridgeAddresses {
  readonly peerId: string;
  readonly didKey: string;
  /** Where the gRPC service answers: `unix:///path` or `tcp://host:port`. */
  readonly grpcAddress: string;
  /** Where MCP is served over HTTP, when it is. */
  readonly mcpUrl?: string;
  /** Where ANP is served, when it is. */
  readonly anpUrl?: string;
  /** Multiaddrs at which peers can dial this node, each ending in `/p2p/<id>`. */
  addresses(): string[];
  /** Resolves when a client asks the daemon to stop. */
  readonly stopRequested: Promise<void>;
  /**
   * Reads the configuration again and goes on by its policy, and with the credentials that are in the home now; other
   * settings stay as they are. @throws CodedError `invalid_argument` when it cannot be used; nothing has changed then.
   */
  reload(): Promise<void>;
}

/** What a daemon works with. */
export interface DaemonDeps {
  logger: Logger;
  /** Changes what is logged while it runs. Default: nobody can. */
  logLevel?: LogLevelControl;
  /** The configuration as it is now, to reload it. Default: as it was. Throws `invalid_argument`. */
  loadConfig?: () => Config;
}

/**
 * Starts everything `config` asks for; when it resolves, the gRPC service answers. A start that fails half-way undoes
 * what it did.
 * @throws CodedError `aborted` (another daemon has this home), `failed_precondition` (loose key; home that is no folder),
 * `invalid_argument`, `unavailable` (an address cannot be bound), `data_loss`, `permission_denied`.
 */
export async function startDaemon(config: Config, deps: DaemonDeps): Promise<Daemon> {
  await using stack = new AsyncDisposableStack();
  const core = await openDaemonCore(config, { ...deps, stack });
  const startedAtMs = Date.now();
  await startMetrics(core, { stack, startedAtMs });
  const stop = Promise.withResolvers<void>();
  const reload = async () => await reloadCore(core, (deps.loadConfig ?? (() => config))());
  const server = stack.use(
    await startGrpc(core, { ...deps, startedAtMs, requestStop: stop.resolve, reload }),
  );
  const mcp = config.mcp.enabled ? stack.use(await openMcp(core)) : undefined;
  const anp = stack.use(await startAnpServer(core));
  const bridge = await startBridge(core, stack);
  const owned = stack.move();
  return {
    peerId: core.identity.peerId,
    didKey: core.identity.didKey,
    grpcAddress: server.address,
    ...bridge,
    ...(mcp !== undefined && { mcpUrl: mcp.url }),
    ...(anp !== undefined && { anpUrl: anp.url }),
    addresses: () => core.host.addresses(),
    stopRequested: stop.promise,
    reload,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function reloadCore(core: DaemonCore, { policy }: Config): Promise<void> {
  core.policy.reload(policy);
  await core.cards.refreshOwn();
  await core.wire.announceCard();
  core.logger.info("Policy and credentials read again", { rules: policy.acl.length });
}

/** Counts and health over HTTP, when they are wanted. */
async function startMetrics(
  { config, logger, host, engine, kv, metrics: { meter, prometheus } }: DaemonCore,
  { stack, startedAtMs }: { stack: AsyncDisposableStack; startedAtMs: number },
): Promise<void> {
  if (prometheus === undefined) return;
  stack.use(watchNode({ meter, host, engine, storePath: config.storePath, startedAtMs }));
  const hasWayOut = config.bootstrapPeers.length > 0;
  const checks = {
    store: async () => void await kv.get(ownCardKey),
    network: () =>
      hasWayOut && host.peers().length === 0
        ? "none of the relays and bootstrap peers is connected"
        : undefined,
  };
  const server = stack.use(
    await startMetricsServer({ prometheus, checks, startedAtMs, logger }, { listen: config.metrics.listen }),
  );
  logger.info("Metrics are served", { url: `${server.url}/metrics` });
}

function startGrpc(
  core: DaemonCore,
  { startedAtMs, requestStop, reload, logLevel }: Pick<DaemonDeps, "logLevel"> & {
    startedAtMs: number;
    requestStop: () => void;
    reload: () => Promise<void>;
  },
): Promise<GrpcServer> {
  const { config, logger, wire } = core;
  const services = createNodeServices({
    ...core,
    exchange: wire,
    deadWebhooks: () => readDeadWebhooks(core.kv, { logger }),
    home: config.home,
    ...{ startedAtMs, requestStop, reload },
    ...(logLevel && { logLevel }),
  });
  return startGrpcServer({ services: [...services, createCallService({ services, logger })], logger }, {
    listen: config.grpcListen,
  });
}

async function openMcp(core: DaemonCore): Promise<HttpServer> {
  const { startMcp } = await import("./mcp/mod.ts"); // most daemons do without
  return await startMcp(core);
}
