import { createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { createServer as createTlsServer } from "node:tls";
import type { RpcAddress } from "../core/rpc_address.ts";

/** Connections open at once; further ones are closed as they come. */
const MAX_CONNECTIONS = 1_024;

/** Longest time for a TLS handshake. */
const HANDSHAKE_MS = 10_000;

/** PEM texts of a server that is spoken to over TLS. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** How a listener listens. */
export interface ListenerOptions {
  /** Default: without TLS. */
  readonly tls?: TlsIdentity;
}

/** A listening socket and the connections it accepted, which it can cut. */
export interface Listener {
  /** The address with the port it got. */
  readonly address: RpcAddress;
  /** Stops accepting; resolves when the last connection is closed, or after `graceMs`. */
  close(graceMs: number): Promise<void>;
  /** Cuts every connection still open. */
  cut(): void;
}

/**
 * Listens on `address` and hands each connection to `onConnection`. A Unix socket is made for this user only (0600). The gRPC
 * library could listen by itself, but then nobody could cut a connection that does not end by itself.
 */
export function openListener(
  address: RpcAddress,
  onConnection: (socket: Socket) => void,
  { tls }: ListenerOptions = {},
): Promise<Listener> {
  const sockets = new Set<Socket>();
  const take = (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    onConnection(socket);
  };
  const server = tls === undefined
    ? createServer(take)
    : createTlsServer({ ...tls, ALPNProtocols: ["h2"], handshakeTimeout: HANDSHAKE_MS }, take);
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () =>
      resolve({
        address: boundAddress(server, address),
        close: (graceMs) => closeServer(server, graceMs),
        cut: () => sockets.forEach((socket) => socket.destroy()),
      }));
    if (address.kind === "unix") withPrivateUmask(() => server.listen({ path: address.path }));
    else server.listen({ host: address.host, port: address.port });
  });
}

function boundAddress(server: Server, address: RpcAddress): RpcAddress {
  const bound = server.address();
  if (address.kind === "unix" || bound === null || typeof bound === "string") return address;
  return { ...address, port: bound.port };
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Runs `bind`, which must create its file before it returns, so that only this user may use the file. */
function withPrivateUmask(bind: () => void): void {
  const before = process.umask(0o177);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}
