/** Ports below those that the system gives to outgoing connections, so that a restart finds its port free. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;
const ESTABLISHED = "01";

/** A free TCP port of 127.0.0.1 that stays free while its owner is down. */
export function freeFixedPort(): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`No free port from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1}`);
}

/**
 * Established TCP connections of this machine that end at one of `ports` and whose other end is none of `known`, as the kernel
 * tells them; none where the kernel has no `/proc/net/tcp`.
 */
export async function directConnections(
  ports: readonly number[],
  known: ReadonlySet<number>,
): Promise<string[]> {
  const table = await Deno.readTextFile("/proc/net/tcp").catch(() => "");
  return table.split("\n").slice(1).flatMap((line) => {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    const [localPort, remotePort] = [portOf(local), portOf(remote)];
    if (state !== ESTABLISHED || !ports.includes(localPort) || known.has(remotePort)) return [];
    return [`${remotePort} to ${localPort}`];
  });
}

function portOf(address: string): number {
  return parseInt(address.split(":")[1] ?? "", 16);
}
