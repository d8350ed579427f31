import { resolveConfig } from "../../core/config.ts";
import { silentLogger } from "../../core/log.ts";
import { type Daemon, startDaemon } from "../../daemon/mod.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";
import { tempDir } from "./temp_dir.ts";

/** A daemon of this process in a temporary home, on loopback alone, and a client of it. */
export interface TestDaemon extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly home: string;
  readonly rpc: RpcClient;
}

/** Starts one; `home` continues an earlier one, `toml` is its configuration file. mDNS is off unless `flags` say otherwise. */
export async function startTestDaemon(
  options: {
    home?: string;
    flags?: Readonly<Record<string, string>>;
    env?: Readonly<Record<string, string>>;
    toml?: string;
  } = {},
): Promise<TestDaemon> {
  await using stack = new AsyncDisposableStack();
  const home = options.home ?? stack.use(await tempDir()).path;
  const flags = { home, listen: "/ip4/127.0.0.1/tcp/0", "enable-mdns": "false", ...options.flags };
  const env = options.env ?? {};
  const config = resolveConfig({ flags, env, userHome: home, readFile: () => options.toml });
  const daemon = stack.use(await startDaemon(config, { logger: silentLogger }));
  const rpc = stack.use(createRpcClient(daemon.grpcAddress));
  const owned = stack.move();
  return { daemon, home, rpc, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Two daemons with these flags of which the first has connected to the second. */
export async function startTestPair(
  flags: Readonly<Record<string, string>> = {},
): Promise<{ a: TestDaemon; b: TestDaemon } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const a = stack.use(await startTestDaemon({ flags }));
  const b = stack.use(await startTestDaemon({ flags }));
  const { NodeService } = await import("../../gen/agentanycast/v1/node_service_pb.ts");
  await a.rpc.unary(NodeService.method.connectPeer, {
    peerId: b.daemon.peerId,
    addresses: b.daemon.addresses(),
  });
  const owned = stack.move();
  return { a, b, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
