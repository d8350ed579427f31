import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import type { Logger, LogLevelControl } from "../core/log.ts";
import { ownCardKey } from "../kv/mod.ts";
import { readDeadWebhooks } from "./a2a_api/push/webhook_record.ts";
import { startMetricsServer, watchNode } from "./metrics/mod.ts";
import type { HttpServer } from "../http/mod.ts";
import { startAnpServer } from "./start_anp.ts";
import { type BridgeAddresses, startBridge } from "./start_bridge.ts";
import { type DaemonCore, openDaemonCore } from "./daemon_core.ts";
import type { NodeParts } from "./node_parts.ts";
import { createCallService } from "../rpc/call_service.ts";
import { createNodeServices } from "./grpc/node_service.ts";
import type { RpcService } from "../rpc/rpc_service.ts";
import { startGrpcServer } from "../rpc/server.ts";

/** What a node tells about itself, whoever it runs for. */
interface NodeFacts extends BridgeAddresses {
  readonly peerId: string;
  readonly didKey: string;
  /** Where MCP is served over HTTP, when it is. */
  readonly mcpUrl?: string;
  /** Where ANP is served, when it is. */
  readonly anpUrl?: string;
  /** Multiaddrs at which peers can dial this node, each ending in `/p2p/<id>`. */
  addresses(): string[];
  /** Comes back when no program is attached as an agent of this node. */
  untilUnused(): Promise<void>;
  /**
   * Reads the configuration again and goes on by its policy, and with the credentials that are in the home now; other
   * settings stay as they are. @throws CodedError `invalid_argument` when it cannot be used; nothing has changed then.
   */
  reload(): Promise<void>;
}

/** A running daemon. Disposing it stops it in order: service, engine, network, store. */
export interface Daemon extends AsyncDisposable, NodeFacts {
  /** Where the gRPC service answers: `unix:///path` or `tcp://host:port`. */
  readonly grpcAddress: string;
  /** Resolves when a client asks the daemon to stop. */
  readonly stopRequested: Promise<void>;
}

/** A node inside the program that uses it. Disposing it stops it in order: wires, engine, network, store. */
export interface EmbeddedNode extends AsyncDisposable, NodeFacts {
  /** What a daemon serves over gRPC, to be called in this process. */
  readonly services: readonly RpcService[];
}

/** What a daemon works with. */
export interface DaemonDeps {
  logger: Logger;
  /** Changes what is logged while it runs. Default: nobody can. */
  logLevel?: LogLevelControl;
  /** The configuration as it is now, to reload it. Default: as it was. Throws `invalid_argument`. */
  loadConfig?: () => Config;
  /** What the node is made of. Default: sockets, files and the wall clock. */
  parts?: NodeParts;
  /** Ends the start, which then throws its reason; a node that has started goes on. */
  signal?: AbortSignal;
}

/**
 * Starts everything `config` asks for; when it resolves, the gRPC service answers. A start that fails half-way undoes
 * what it did.
 * @throws CodedError `aborted` (another daemon has this home), `failed_precondition` (loose key; home that is no folder),
 * `invalid_argument`, `unavailable` (an address cannot be bound), `data_loss`, `permission_denied`.
 */
export async function startDaemon(config: Config, deps: DaemonDeps): Promise<Daemon> {
  await using stack = new AsyncDisposableStack();
  const stop = Promise.withResolvers<void>();
  const begun = await begin(config, { ...deps, stack, requestStop: stop.resolve });
  const { services, core: { logger } } = begun;
  const server = stack.use(
    await startGrpcServer({ services: [...services, createCallService({ services, logger })], logger }, {
      listen: config.grpcListen,
    }),
  );
  const facts = await startWires(begun, stack);
  deps.signal?.throwIfAborted();
  const owned = stack.move();
  return {
    ...facts,
    grpcAddress: server.address,
    stopRequested: stop.promise,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Starts everything `config` asks for but the gRPC service for SDKs: the caller is in this process. A start that fails half-way
 * undoes what it did. Throws as {@link startDaemon}.
 */
export async function startEmbeddedNode(config: Config, deps: DaemonDeps): Promise<EmbeddedNode> {
  await using stack = new AsyncDisposableStack();
  const begun = await begin(config, { ...deps, stack, requestStop: refuseStop });
  const facts = await startWires(begun, stack);
  deps.signal?.throwIfAborted();
  const owned = stack.move();
  return { ...facts, services: begun.services, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function refuseStop(): never {
  throw new CodedError("failed_precondition", "This node runs inside its program, which alone stops it");
}

/** A node before its wires are up. */
interface Begun {
  readonly core: DaemonCore;
  readonly services: readonly RpcService[];
  readonly reload: () => Promise<void>;
}

async function begin(
  config: Config,
  deps: DaemonDeps & { stack: AsyncDisposableStack; requestStop: () => void },
): Promise<Begun> {
  const core = await openDaemonCore(config, deps);
  deps.signal?.throwIfAborted();
  const startedAtMs = core.clock.now();
  await startMetrics(core, { stack: deps.stack, startedAtMs });
  const reload = async () => await reloadCore(core, (deps.loadConfig ?? (() => config))());
  const services = createNodeServices({
    ...core,
    exchange: core.wire,
    deadWebhooks: () => readDeadWebhooks(core.kv, { logger: core.logger }),
    home: config.home,
    ...{ startedAtMs, reload, requestStop: deps.requestStop },
    ...(deps.logLevel && { logLevel: deps.logLevel }),
  });
  return { core, services, reload };
}

/** The wires for others than the SDK. */
async function startWires({ core, reload }: Begun, stack: AsyncDisposableStack): Promise<NodeFacts> {
  const mcp = core.config.mcp.enabled ? stack.use(await openMcp(core)) : undefined;
  const anp = stack.use(await startAnpServer(core));
  const bridge = await startBridge(core, stack);
  return {
    peerId: core.identity.peerId,
    didKey: core.identity.didKey,
    ...bridge,
    ...(mcp !== undefined && { mcpUrl: mcp.url }),
    ...(anp !== undefined && { anpUrl: anp.url }),
    addresses: () => core.host.addresses(),
    untilUnused: () => core.agents.untilNone(),
    reload,
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

async function openMcp(core: DaemonCore): Promise<HttpServer> {
  const { startMcp } = await import("./mcp/mod.ts"); // most daemons do without
  return await startMcp(core);
}
