import { CodedError, errorMessage } from "../../core/errors.ts";
import { type BridgeCaller, parseToken } from "../../core/settings/bridge_callers.ts";
import type { Config } from "../../core/config.ts";
import {
  checkWrittenAddress,
  counted,
  createProxyTrust,
  createSafeFetch,
  type HttpHandler,
  type HttpServer,
  parseAllowList,
  type ServerTls,
  startHttpServer,
} from "../../http/mod.ts";
import { A2aOperations } from "../a2a_api/a2a_operations.ts";
import { AgentCards } from "../a2a_api/agent_cards.ts";
import { type Authenticator, createAuthenticator } from "../a2a_api/authenticate.ts";
import { PushConfigs } from "../a2a_api/push/push_configs.ts";
import { WebhookCaller } from "../a2a_api/push/webhook_caller.ts";
import type { DaemonCore } from "../daemon_core.ts";
import { createBridgeApp } from "./bridge_app.ts";

/** A2A for clients outside of the network, without its servers. */
export interface Bridge {
  readonly operations: A2aOperations;
  readonly cards: AgentCards;
  readonly authenticator: Authenticator;
  readonly push: PushConfigs;
}

type BridgeSettings = Config["bridge"];

export interface OpenBridgeOptions {
  stack: AsyncDisposableStack;
  /** `host:port` of the gRPC binding, once it is there. */
  grpcAddress: () => string | undefined;
}

/** Opens what the bindings share; `stack` closes it. @throws CodedError `invalid_argument`. */
export async function openBridge(
  core: Pick<DaemonCore, "config" | "logger" | "identity" | "kv" | "engine" | "streams" | "network" | "host">,
  { stack, grpcAddress }: OpenBridgeOptions,
): Promise<Bridge> {
  const { kv, engine, streams, network, identity, host } = core;
  const settings = core.config.bridge;
  const logger = core.logger.child({ wire: "bridge" });
  const authenticator = createAuthenticator(callersOf(settings));
  const fetch = stack.use(
    checked(
      "bridge.webhook_allow",
      () =>
        createSafeFetch({ allow: settings.webhookAllow, setting: "bridge.webhook_allow", maxRedirects: 0 }),
    ),
  );
  const guard = { allow: parseAllowList(settings.webhookAllow), setting: "bridge.webhook_allow" };
  const checkAddress = (url: URL) => checkWrittenAddress(url, guard);
  const caller = new WebhookCaller({ fetch, identity, checkAddress }, { tryForMs: settings.webhookRetryMs });
  const push = stack.use(new PushConfigs({ kv, engine, caller, logger }));
  const cards = new AgentCards({
    ...{ network, identity },
    schemes: authenticator.schemes,
    addresses: () => host.addresses(),
  }, { grpcAddress });
  const operations = new A2aOperations({
    ...{ engine, streams, network, push },
    inputModesOf: (target) => cards.inputModesOf(target),
  });
  await push.start();
  return { operations, cards, authenticator, push };
}

/**
 * Serves the HTTP bindings. @throws CodedError `permission_denied` (an address that others reach, without credentials),
 * `invalid_argument`, `unavailable`.
 */
export async function startBridgeServer(
  core: Pick<DaemonCore, "config" | "logger" | "identity" | "trust" | "metrics">,
  bridge: Bridge,
  { listen, beside }: { listen: string; beside?: BesideHandler | undefined },
): Promise<HttpServer> {
  const settings = core.config.bridge;
  const logger = core.logger.child({ wire: "bridge" });
  checkReach(listen, settings, bridge.authenticator);
  const publicUrl = settings.publicUrl?.replace(/\/+$/, "");
  if (publicUrl !== undefined && !/^https?:\/\/[^/]+/.test(publicUrl)) {
    throw new CodedError("invalid_argument", `bridge.public_url "${publicUrl}" is no http(s) URL`);
  }
  const app = createBridgeApp({
    ...bridge,
    logger,
    proxies: checked(
      "bridge.trusted_proxies",
      () => createProxyTrust({ proxies: settings.trustedProxies, publicUrl }),
    ),
    documents: {
      identity: core.identity,
      publicDocument: (pathname) => core.trust.publicDocument(pathname),
    },
  }, {
    corsOrigins: settings.corsOrigins,
    anyHost: bridge.authenticator.isRequired || settings.allowAnonymous || publicUrl !== undefined ||
      settings.trustedProxies.length > 0,
  });
  const own = counted(
    (request, info) => app.fetch(request, { info }),
    (status) => core.metrics.meter.count("bridge_requests_total", { direction: "inbound", status }),
  );
  const tls = await readTls(settings);
  return await startHttpServer({
    fetch: (request, info) =>
      beside?.handles(new URL(request.url).pathname) ? beside.fetch(request, info) : own(request, info),
    logger,
  }, {
    listen,
    ...(tls && { tls }),
    limits: {
      maxConnections: settings.maxConnections,
      maxBodyBytes: settings.maxBodyMib * 1024 * 1024,
    },
  });
}

/** Another wire that is served on the address of the bridge. */
export interface BesideHandler {
  handles(pathname: string): boolean;
  readonly fetch: HttpHandler;
}

function callersOf({ callers, tokens }: BridgeSettings): BridgeCaller[] {
  return [...callers, ...checked("bridge.tokens", () => tokens.map(parseToken))];
}

/** What a setting holds, read by `read`. @throws CodedError `invalid_argument` that names the setting. */
function checked<T>(setting: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new CodedError("invalid_argument", `${setting}: ${errorMessage(cause)}`, { cause });
  }
}

/** Whoever reaches the bridge can have the agent work: strangers only when that is wanted. */
export function checkReach(listen: string, settings: BridgeSettings, { isRequired }: Authenticator): void {
  const isLocal = /^(:|localhost:|127\.|\[::1\]:)/.test(listen);
  if (isLocal || isRequired || settings.allowAnonymous) return;
  throw new CodedError(
    "permission_denied",
    `Cannot serve the bridge on ${listen} without credentials: others could use its agent. ` +
      "Configure [[bridge.callers]], listen on 127.0.0.1, or allow it with bridge.allow_anonymous",
  );
}

/** Certificate and key of the bridge, when it has one. @throws CodedError `invalid_argument`. */
export async function readTls(
  { tlsCert, tlsKey, tlsClientCa }: BridgeSettings,
): Promise<ServerTls | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsClientCa === undefined) return undefined;
    throw new CodedError("invalid_argument", "bridge.tls_client_ca needs bridge.tls_cert and bridge.tls_key");
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new CodedError("invalid_argument", "bridge.tls_cert and bridge.tls_key belong together: give both");
  }
  const [cert, key, clientCa] = await Promise.all([
    readPem("bridge.tls_cert", tlsCert),
    readPem("bridge.tls_key", tlsKey),
    tlsClientCa === undefined ? undefined : readPem("bridge.tls_client_ca", tlsClientCa),
  ]);
  return { cert, key, ...(clientCa !== undefined && { clientCa }) };
}

async function readPem(setting: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new CodedError("invalid_argument", `${setting}: cannot read ${path}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}
