import { parseHostPort } from "../http/mod.ts";
import { startGrpcServer } from "../rpc/server.ts";
import { checkReach, openBridge, readTls, startBridgeServer } from "./bridge/open_bridge.ts";
import type { DaemonCore } from "./daemon_core.ts";
import { anpBesideBridge } from "./start_anp.ts";
import { createA2aService } from "./grpc/a2a_service.ts";

/** Where A2A is served for clients outside of the network. */
export interface BridgeAddresses {
  /** Over HTTP, when it is. */
  readonly bridgeUrl?: string;
  /** `host:port` over gRPC, when it is. */
  readonly bridgeGrpcAddress?: string;
}

/** Serves A2A over HTTP and gRPC, as far as it is configured; `stack` closes it. Throws as `startDaemon`. */
export async function startBridge(core: DaemonCore, stack: AsyncDisposableStack): Promise<BridgeAddresses> {
  const { enabled, listen, grpcListen, publicUrl, publicGrpc } = core.config.bridge;
  if (!enabled || (listen ?? grpcListen) === undefined) return {};
  const { logger } = core;
  let grpcAddress: string | undefined;
  let url: string | undefined;
  const bridge = await openBridge(core, { stack, grpcAddress: () => publicGrpc ?? grpcAddress });
  if (grpcListen !== undefined) {
    checkReach(grpcListen, core.config.bridge, bridge.authenticator);
    const services = [createA2aService({ ...bridge, origin: () => publicUrl ?? url ?? "" })];
    const { hostname, port } = parseHostPort(grpcListen); // without a host it is loopback, as over HTTP
    const address = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
    const tls = await readTls(core.config.bridge);
    const server = stack.use(
      await startGrpcServer({ services, logger }, {
        ...{ listen: `tcp://${address}`, allowRemote: true },
        ...(tls && { tls: { cert: tls.cert, key: tls.key } }),
      }),
    );
    grpcAddress = server.address.replace(/^tcp:\/\//, "");
    logger.info("The bridge answers over gRPC", { address: grpcAddress });
  }
  if (listen !== undefined) {
    const beside = await anpBesideBridge(core);
    const server = stack.use(await startBridgeServer(core, bridge, { listen, beside }));
    url = server.url;
    logger.info("The bridge answers over HTTP", { url });
  }
  return {
    ...(url !== undefined && { bridgeUrl: url }),
    ...(grpcAddress !== undefined && { bridgeGrpcAddress: grpcAddress }),
  };
}
