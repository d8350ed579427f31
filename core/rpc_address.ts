import { CodedError } from "./errors.ts";

/** Where a gRPC service listens: a Unix socket or a TCP port, `tls` with a certificate. */
export type RpcAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp" | "tls"; readonly host: string; readonly port: number };

/** Longest path a Unix socket can have; runtimes cut off what is longer without a word. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads `unix:///path`, `tcp://host:port`, `tls://host:port`, a bare absolute path or a bare `host:port`; IPv6 hosts stand in
 * brackets.
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
  const match = /^(?:(tcp|tls):\/\/)?(?:\[([0-9a-f:.]+)\]|([^:/\s[\]]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[2] ?? match?.[3];
  const port = Number(match?.[4]);
  const kind = match?.[1]?.toLowerCase() === "tls" ? "tls" : "tcp";
  if (host !== undefined && port <= 65_535) return { kind, host, port };
  throw new CodedError(
    "invalid_argument",
    `Not a gRPC address: ${JSON.stringify(text)}; use unix:///path or tcp://host:port`,
  );
}

/** The address as users write it: `unix:///path`, `tcp://host:port` or `tls://host:port`. */
export function formatRpcAddress(address: RpcAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${address.kind}://${host}:${address.port}`;
}
