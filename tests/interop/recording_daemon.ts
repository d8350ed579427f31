import type { DescMethod } from "@bufbuild/protobuf";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { silentLogger } from "../../core/log.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { createRpcService, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";

/** Stands before a daemon and notes what it is called for. */
export interface RecordingDaemon extends AsyncDisposable {
  /** Where it listens. */
  readonly address: string;
  /** The methods of `NodeService`, in the order that they were called. */
  readonly calls: readonly string[];
}

/** Starts one before the daemon at `address`. */
export async function startRecordingDaemon(address: string): Promise<RecordingDaemon> {
  const calls: string[] = [];
  const client = createRpcClient(address);
  const forward = (method: DescMethod) => (request: never, { signal }: { signal: AbortSignal }) => {
    calls.push(method.name);
    if (method.methodKind === "unary") return client.unary(method as never, request, { signal });
    return client.stream(method as never, request, { signal });
  };
  const handlers = Object.fromEntries(
    NodeService.methods.map((method) => [method.localName, forward(method)]),
  );
  const service = createRpcService(
    NodeService,
    handlers as unknown as Partial<RpcHandlers<typeof NodeService>>,
  );
  const server = await startGrpcServer({ services: [service], logger: silentLogger }, {
    listen: "127.0.0.1:0",
  });
  return {
    address: server.address,
    calls,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
