import { parseRpcAddress } from "../core/rpc_address.ts";

/** Whether a process accepts connections at `unix:///path` or `tcp://host:port`. Throws `invalid_argument`. */
export async function isAnswered(address: string): Promise<boolean> {
  const parsed = parseRpcAddress(address);
  try {
    const connection = parsed.kind === "unix"
      ? await Deno.connect({ transport: "unix", path: parsed.path })
      : await Deno.connect({ hostname: parsed.host, port: parsed.port });
    connection.close();
    return true;
  } catch {
    return false; // refused, or no such socket
  }
}
