import { CodedError } from "../core/errors.ts";
import type { RpcAddress } from "../core/rpc_address.ts";

/**
 * Makes sure that `address` may be bound: no host other people can reach unless `allowRemote`, and no live socket at
 * the path. A socket that nobody answers is removed. Throws `failed_precondition` or `permission_denied`.
 */
export async function prepareAddress(address: RpcAddress, allowRemote: boolean): Promise<void> {
  if (address.kind === "unix") return await clearStaleSocket(address.path);
  if (allowRemote || isLoopbackHost(address.host)) return;
  throw new CodedError(
    "permission_denied",
    `Cannot serve gRPC on ${address.host}: others could reach it, and it has no authentication; use 127.0.0.1 or a Unix socket`,
  );
}

/** Whether only this machine can reach `host`. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Removes the socket file at `path`; quietly when there is none. */
export async function removeSocket(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function clearStaleSocket(path: string): Promise<void> {
  const found = await statOf(path);
  if (found === undefined) return;
  if (!found.isSocket) {
    throw new CodedError(
      "failed_precondition",
      `Cannot listen on ${path}: a file that is no socket is there`,
    );
  }
  if (await isAnswered(path)) {
    throw new CodedError(
      "failed_precondition",
      `Cannot listen on ${path}: already running, another process answers there`,
    );
  }
  await removeSocket(path);
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new CodedError("permission_denied", `Cannot look at ${path}`, { cause: error });
  }
}

/** Whether a process accepts connections on the socket. Only a refusal counts as no: a full backlog is a live one. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound);
  }
}
