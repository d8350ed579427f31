import { parseRpcAddress } from "../core/rpc_address.ts";
import { CallService } from "../gen/agentanycast/v1/call_service_pb.ts";
import { CallStream } from "./call_stream.ts";
import { type ConnectionOptions, Http2Connection } from "./http2_connection.ts";
import { createRpcClient, type RpcClient } from "./rpc_client.ts";
import { createOpenDuplex } from "./rpc_duplex.ts";

/**
 * A client as `createRpcClient` makes it that runs unary and server-streaming calls over one stream, opened again after it is
 * lost. With a daemon that has no `CallService`, and for what is streamed to it, it makes plain calls.
 */
export function createCallClient(
  address: string,
  options: Pick<ConnectionOptions, "onLost"> = {},
): RpcClient {
  const plain = createRpcClient(address);
  const connection = new Http2Connection(parseRpcAddress(address), options);
  const { parent, name } = CallService.method.calls;
  const open = createOpenDuplex(connection, `/${parent.typeName}/${name}`);
  let current = new CallStream(open);
  let closed = false;
  const calls = () => {
    if (current.ended && !current.unsupported && !closed) current = new CallStream(open);
    return current;
  };
  return {
    unary: async (method, request, options) => {
      const stream = calls();
      if (stream.unsupported) return await plain.unary(method, request, options);
      try {
        return await stream.unary(method, request, options);
      } catch (error) {
        if (!stream.unsupported || closed) throw error;
        return await plain.unary(method, request, options);
      }
    },
    async *stream(method, request, options) {
      const stream = calls();
      if (!stream.unsupported) {
        try {
          return yield* stream.stream(method, request, options);
        } catch (error) {
          if (!stream.unsupported || closed) throw error;
        }
      }
      yield* plain.stream(method, request, options);
    },
    upload: (method, requests, options) => plain.upload(method, requests, options),
    exchange: (method, requests, options) => plain.exchange(method, requests, options),
    [Symbol.dispose]: () => {
      closed = true;
      current[Symbol.dispose]();
      connection.close();
      plain[Symbol.dispose]();
    },
  };
}
