import type { HttpServer } from "../http/mod.ts";
import type { BesideHandler } from "./bridge/open_bridge.ts";
import type { DaemonCore } from "./daemon_core.ts";

/** Serves ANP on an address of its own, when the settings want it. Throws as `startDaemon`. */
export async function startAnpServer(core: DaemonCore): Promise<HttpServer | undefined> {
  if (!core.config.anp.enabled) return undefined;
  const { startAnp } = await import("./anp/mod.ts"); // most daemons do without
  return await startAnp(core.config.anp, depsOf(core));
}

/** ANP on the address of the bridge, when the settings want it there. Throws as `startDaemon`. */
export async function anpBesideBridge(core: DaemonCore): Promise<BesideHandler | undefined> {
  if (!core.config.anp.besideBridge) return undefined;
  const { createAnp, isAnpPath } = await import("./anp/mod.ts"); // likewise
  const { anp, bridge } = core.config;
  const publicUrl = anp.publicUrl ?? bridge.publicUrl;
  // What comes from a proxy on this machine comes from anywhere.
  const isBehindProxy = bridge.trustedProxies.length > 0 && anp.anonymous === "loopback";
  const settings = { ...anp, publicUrl, ...(isBehindProxy && { anonymous: "never" as const }) };
  return { handles: isAnpPath, fetch: createAnp(settings, depsOf(core)) };
}

function depsOf(core: DaemonCore) {
  const { trust, identity, logger } = core;
  return {
    ...core,
    resolver: trust.resolver,
    publicDocument: trust.publicDocument.bind(trust),
    did: () => trust.dids.didWba || trust.dids.didWeb || identity.didKey,
    meter: core.metrics.meter,
    logger: logger.child({ wire: "anp" }),
  };
}
