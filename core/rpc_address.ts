import { CodedError } from "./errors.ts";

/** Where a gRPC service listens: a Unix socket or a TCP port. */
export type RpcAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Longest path a Unix socket can have; runtimes cut off what is longer without a word. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads `unix:///path`, `tcp://host:port`, a bare absolute path or a bare `host:port`; IPv6 hosts stand in brackets.
 * Throws `invalid_argument` for anything else and for a socket path that is too long.
 */
export function parseRpcAddress(text: string): RpcAddress {
  const path = text.startsWith("unix:") ? text.slice("unix:".length).replace(/^\/\/(?=\/)/, "") : text;
  if (path.startsWith("/")) {
    const bytes = new TextEncoder().encode(path).length;
    if (bytes <= MAX_SOCKET_PATH_BYTES) return { kind: "unix", path };
    throw new CodedError(
      "invalid_argument",
      `Socket path is ${bytes} bytes long, at most ${MAX_SOCKET_PATH_BYTES} are possible: use a shorter folder (${path})`,
    );
  }
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-f:.]+)\]|([^:/\s[\]]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { kind: "tcp", host, port };
  throw new CodedError(
    "invalid_argument",
    `Not a gRPC address: ${JSON.stringify(text)}; use unix:///path or tcp://host:port`,
  );
}

/** The address as users write it: `unix:///path` or `tcp://host:port`. */
export function formatRpcAddress(address: RpcAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `tcp://${host}:${address.port}`;
}
