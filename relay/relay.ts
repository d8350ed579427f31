import { systemClock } from "../core/clock.ts";
import { makeHome } from "../core/home.ts";
import type { Logger } from "../core/log.ts";
import type { RelayConfig } from "../core/settings/relay.ts";
import { loadPrometheus } from "../http/mod.ts";
import { type Identity, openIdentity } from "../identity/mod.ts";
import { type P2pHost, toDialOrder } from "../p2p/mod.ts";
import { createCallService } from "../rpc/call_service.ts";
import { startGrpcServer } from "../rpc/server.ts";
import type { RpcService } from "../rpc/rpc_service.ts";
import { Federation } from "./federation/federation.ts";
import { createFederationService } from "./federation/federation_service.ts";
import { Merge } from "./federation/merge.ts";
import { SharedStore } from "./federation/shared_store.ts";
import { EventFeed } from "./http/event_feed.ts";
import { hostOf, openRelayHost } from "./open_host.ts";
import { type OpenedStore, openStore } from "./open_store.ts";
import { Admission } from "./registry/admission.ts";
import { Directory } from "./registry/directory.ts";
import { Registry } from "./registry/registry.ts";
import { type RegistryOptions, resolveRegistryOptions } from "./registry/registry_options.ts";
import { Sweeper } from "./registry/sweeper.ts";
import { RELAY_METRICS, type RelayMeter, watchRelay } from "./relay_metrics.ts";
import { createMeteredService } from "./services/metered_service.ts";
import { createRegistryService } from "./services/registry_service.ts";
import { RequestRate } from "./services/request_rate.ts";
import { type RelayServers, startServers } from "./start_servers.ts";
import { readFederationCa, readTls } from "./tls_files.ts";

/** How long calls at work may take to finish once the relay stops: a registration is written by then. */
const DRAIN_MS = 2_000;

/** A running relay. Disposing it stops it in order: servers, federation, network, store. */
export interface Relay extends AsyncDisposable {
  readonly peerId: string;
  /** Multiaddrs at which peers can dial it, each ending in `/p2p/<id>`; what most can dial comes first. */
  addresses(): string[];
  /** Where the registry answers over gRPC: `tcp://host:port`. */
  readonly registryAddress: string;
  /** URLs of the servers that run. */
  readonly urls: RelayServers["urls"];
}

/** What a relay is started with besides its configuration. */
export interface RelayDeps {
  readonly logger: Logger;
  /** The servers (`mcp`, `metrics`, `api`) whose address nobody asked for: they may take another port. Default none. */
  readonly mayMove?: ReadonlySet<string>;
}

/** What the parts of a relay work with. */
export interface RelayParts {
  readonly config: RelayConfig;
  readonly host: P2pHost;
  readonly directory: Directory;
  readonly registry: Registry;
  readonly federation: Federation;
  readonly rate: RequestRate;
  readonly feed: EventFeed;
  readonly meter: RelayMeter;
  readonly store: OpenedStore;
  readonly startedAtMs: number;
  readonly logger: Logger;
}

/**
 * Starts everything `config` asks for; when it resolves, all servers answer. A start that fails half-way undoes what it did.
 * @throws CodedError `invalid_argument`, `unavailable` (an address cannot be bound), `failed_precondition` (loose key),
 * `aborted` (another relay has the store), `data_loss`, `permission_denied`.
 */
export async function startRelay(
  config: RelayConfig,
  { logger, mayMove = new Set() }: RelayDeps,
): Promise<Relay> {
  await using stack = new AsyncDisposableStack();
  const tls = await readTls(config);
  await makeHome(config.home, logger);
  const identity = await openIdentity(config.keyPath);
  const store = stack.use(await openStore(config.registryStore, { relayId: identity.peerId, logger }));
  const { createPrometheus } = await loadPrometheus();
  const prometheus = createPrometheus(RELAY_METRICS, { prefix: "" });
  const { meter } = prometheus;
  const parts = await openParts(config, { identity, store, meter, logger, stack });
  watchRelay(meter, parts);
  const services = parts.services;
  const server = stack.use(
    await startGrpcServer({ services: [...services, createCallService({ services, logger })], logger }, {
      listen: config.registryListen.replace(/^:/, "0.0.0.0:"),
      allowRemote: true,
      maxMessageBytes: 1024 * 1024,
      drainMs: DRAIN_MS,
      ...tls && { tls },
    }),
  );
  const servers = stack.use(await startServers({ ...parts, prometheus }, { config, mayMove, tls }));
  stack.defer(() => parts.feed[Symbol.dispose]()); // before the servers, which would wait for its readers
  stack.use(parts.federation);
  parts.federation.start();
  const owned = stack.move();
  return {
    peerId: identity.peerId,
    addresses: () => toDialOrder(parts.host.addresses()),
    registryAddress: server.address,
    urls: servers.urls,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface OpenPartsDeps {
  readonly identity: Identity;
  readonly store: OpenedStore;
  readonly meter: RelayMeter;
  readonly logger: Logger;
  readonly stack: AsyncDisposableStack;
}

/** Registry, network and federation; what has to be closed is put on the stack. */
async function openParts(
  config: RelayConfig,
  { identity, store, meter, logger, stack }: OpenPartsDeps,
): Promise<RelayParts & { readonly services: readonly RpcService[] }> {
  const { peerId: relayId, seed } = identity;
  const options = registryOptions(config);
  let host: P2pHost | undefined = undefined;
  let federation: Federation | undefined = undefined;
  const peers = () => host?.peers() ?? [];
  const isConnected = (peerId: string) => host?.isConnected(peerId) ?? false;
  const directory = new Directory({ clock: systemClock, isConnected }, options);
  const admission = new Admission({ hostOf: (peerId) => hostOf(peers(), peerId) }, {
    open: config.registryOpen,
  });
  const { registrations, shared: kv } = store;
  const registry = new Registry({
    ...{
      relayId,
      directory,
      admission,
      store: registrations,
      isShared: kv !== undefined,
      clock: systemClock,
    },
  }, options);
  await registry.start();
  stack.use(new Sweeper({ registry, clock: systemClock, logger }, { everyMs: Math.ceil(options.ttlMs / 4) }));
  const merge = new Merge({
    relayId,
    directory,
    registry,
    admission,
    clock: systemClock,
    capacity: options.capacity,
  });
  if (kv !== undefined) {
    const everyMs = config.federationSyncIntervalMs;
    stack.use(new SharedStore({ kv, relayId, merge, clock: systemClock, logger }, { everyMs }));
  }
  const rate = createRate(config);
  const services = createServices({
    ...{ relayId, registry, directory, merge, meter, rate, host: () => host, federation: () => federation },
  });
  const feed = stack.use(new EventFeed(directory));
  const calls = createCallService({ services, logger }, { maxCalls: 256 });
  host = await openRelayHost(config, {
    seed,
    logger,
    stack,
    calls,
    onDisconnected: directory.onDisconnected,
  });
  federation = await openFederation(config, { host, directory, merge, logger, meter });
  return {
    ...{ config, host, directory, registry, federation, rate, feed, meter, store, logger, services },
    startedAtMs: Date.now(),
  };
}

interface ServicesDeps extends Pick<RelayParts, "registry" | "directory" | "rate" | "meter"> {
  readonly relayId: string;
  readonly merge: Merge;
  host(): P2pHost | undefined;
  federation(): Federation | undefined;
}

/** What is served over gRPC and to peers. */
function createServices({ host, federation, meter, ...deps }: ServicesDeps): RpcService[] {
  const shared = { ...deps, hostOf: (peerId: string) => hostOf(host()?.peers() ?? [], peerId) };
  return [
    createRegistryService({
      ...shared,
      onDiscover: (seconds) => meter.observe("registry_discover_duration_seconds", {}, seconds),
    }),
    createFederationService({
      ...shared,
      epoch: crypto.randomUUID(),
      addresses: () => host()?.addresses() ?? [],
      isTrusted: (peerId) => federation()?.isTrusted(peerId) ?? false,
    }),
  ].map((service) => createMeteredService(service, meter));
}

function createRate(config: RelayConfig): RequestRate {
  return new RequestRate({
    changesPerSecond: config.registryChangesPerSecond,
    queriesPerSecond: config.registryQueriesPerSecond,
  }, Date.now);
}

async function openFederation(
  config: RelayConfig,
  { meter, ...deps }: Pick<RelayParts, "host" | "directory" | "logger" | "meter"> & { readonly merge: Merge },
): Promise<Federation> {
  return new Federation({
    ...deps,
    onSync: (peer, seconds) => meter.observe("federation_sync_duration_seconds", { peer }, seconds),
    onError: () => meter.count("federation_sync_errors_total", {}),
  }, {
    peers: config.federationPeers,
    syncIntervalMs: config.federationSyncIntervalMs,
    ca: await readFederationCa(config),
  });
}

function registryOptions(config: RelayConfig): RegistryOptions {
  return resolveRegistryOptions({
    ttlMs: config.registryTtlMs,
    capacity: config.registryCapacity,
    maxPerHost: config.registryMaxPerHost,
    maxBytes: config.registryMaxBytes,
  });
}
