import * as grpc from "@grpc/grpc-js";
import type http2 from "node:http2";
import type { Socket } from "node:net";
import { CodedError, errorMessage } from "../core/errors.ts";
import { assertHttp2Guard, installHttp2Guard } from "../core/http2_guard.ts";
import type { Logger } from "../core/log.ts";
import { MAX_RPC_ANSWER_BYTES, MAX_RPC_MESSAGE_BYTES } from "../core/rpc.ts";
import { formatRpcAddress, parseRpcAddress, type RpcAddress } from "../core/rpc_address.ts";
import { prepareAddress, removeSocket } from "./address.ts";
import { OpenCalls } from "./calls.ts";
import { createHealthService } from "./health.ts";
import { type Listener, type ListenerOptions, openListener, type TlsIdentity } from "./listener.ts";
import type { RpcService } from "./rpc_service.ts";

/** Calls one connection may have open; more wait at the client. */
const MAX_CONCURRENT_STREAMS = 1_024;
/** Bytes that a call may have under way towards the server, and all of a connection: few turns for a long stream. */
const WINDOW_BYTES = 1024 * 1024;
/** A connection that does not answer a ping in time is closed, so that a vanished peer does not hold its calls. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

export interface GrpcServerOptions {
  /** `unix:///path` or `tcp://host:port` (port 0: any free one); also a bare absolute path or `host:port`. */
  listen: string;
  /** Largest message in either direction. Default 24 MiB. */
  maxMessageBytes?: number;
  /** How long calls may take to finish once the server stops. Default 500 ms. */
  drainMs?: number;
  /** Allows TCP addresses that other machines can reach. Default false. */
  allowRemote?: boolean;
  /** Default: without TLS. */
  tls?: TlsIdentity;
}

/** A running server. Disposing it stops it: streams end with CANCELLED, other calls get the drain time. */
export interface GrpcServer extends AsyncDisposable {
  /** Where it listens, with the actual port. */
  readonly address: string;
}

/**
 * Serves `services`, and the standard health service for them. Throws `invalid_argument` (address), `permission_denied`
 * (address others can reach), `failed_precondition` (address in use, or HTTP/2 not safe in this runtime).
 */
export async function startGrpcServer(
  deps: { services: readonly RpcService[]; logger: Logger },
  options: GrpcServerOptions,
): Promise<GrpcServer> {
  const address = parseRpcAddress(options.listen);
  installHttp2Guard();
  await assertHttp2Guard();
  await prepareAddress(address, options.allowRemote ?? false);

  const maxBytes = options.maxMessageBytes ?? MAX_RPC_MESSAGE_BYTES;
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxBytes,
    "grpc.max_send_message_length": MAX_RPC_ANSWER_BYTES,
    "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.enable_channelz": 0,
  });
  widenWindows(server);
  const calls = new OpenCalls(deps.logger);
  const health = createHealthService(deps.services.map((service) => service.name));
  for (const service of [...deps.services, health]) {
    server.addService(toDefinition(service), calls.implement(service));
  }
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const { tls } = options;
  const listener = await listen(address, (socket) => injector.injectConnection(socket), tls && { tls });
  let stopped: Promise<void> | undefined;
  return {
    address: formatRpcAddress(listener.address),
    [Symbol.asyncDispose]: () =>
      stopped ??= stop({ server, listener, calls, address }, options.drainMs ?? 500),
  };
}

/** What we use of the library's inner parts: it has no option for the windows of a server. */
interface GrpcInternals {
  readonly commonServerOptions: { settings?: http2.Settings };
  createHttp2Server(credentials: grpc.ServerCredentials): http2.Http2Server;
}

function widenWindows(server: grpc.Server): void {
  const internals = server as unknown as GrpcInternals;
  const { commonServerOptions } = internals;
  const create = internals.createHttp2Server.bind(server);
  commonServerOptions.settings = { ...commonServerOptions.settings, initialWindowSize: WINDOW_BYTES };
  internals.createHttp2Server = (credentials) =>
    create(credentials).on("session", (session) => session.setLocalWindowSize(WINDOW_BYTES));
}

function toDefinition(service: RpcService): grpc.ServiceDefinition {
  return Object.fromEntries(service.methods.map(({ definition }) => [definition.path, definition]));
}

async function listen(
  address: RpcAddress,
  onConnection: (socket: Socket) => void,
  options: ListenerOptions = {},
): Promise<Listener> {
  try {
    return await openListener(address, onConnection, options);
  } catch (cause) {
    throw new CodedError(
      "failed_precondition",
      `Cannot listen on ${formatRpcAddress(address)}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

interface Running {
  readonly server: grpc.Server;
  readonly listener: Listener;
  readonly calls: OpenCalls;
  readonly address: RpcAddress;
}

async function stop({ server, listener, calls, address }: Running, drainMs: number): Promise<void> {
  const reason = new CodedError("cancelled", "The server is stopping");
  calls.abortStreams(reason);
  server.tryShutdown(() => {}); // says goodbye on each connection; its callback may come before the calls are done
  await listener.close(drainMs);
  calls.abortAll(reason);
  listener.cut();
  server.forceShutdown();
  if (address.kind === "unix") await removeSocket(address.path);
}
