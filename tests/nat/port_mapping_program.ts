/**
 * Opens a port at the router, as a daemon does, and answers who connects; see miniupnpd_test.ts. Argument: `upnp` or `nat-pmp`.
 * Each line of standard input is a step whose outcome is printed as `DONE=<JSON>`.
 */
import { NatPmpGateway } from "../../p2p/port_mapping/nat_pmp_gateway.ts";
import { UpnpGateway } from "../../p2p/port_mapping/upnp_gateway.ts";

const FROM = "192.168.7.2";
const PORT = 4001;
const { signal } = new AbortController();
const gateway = Deno.args[0] === "upnp"
  ? await UpnpGateway.find({ from: FROM }, signal)
  : new NatPmpGateway(FROM, "192.168.7.1");
const listener = Deno.listen({ hostname: "0.0.0.0", port: PORT });
void (async () => {
  for await (const connection of listener) {
    await connection.write(new TextEncoder().encode("hello"));
    connection.close();
  }
})();

const steps: Readonly<Record<string, (argument: number) => Promise<unknown>>> = {
  address: () => gateway.externalAddress(signal),
  map: (lifetimeS) =>
    gateway.map({ protocol: "tcp", internalPort: PORT, externalPort: PORT, lifetimeS }, signal),
  unmap: () => gateway.unmap({ protocol: "tcp", internalPort: PORT, externalPort: PORT }, signal),
};
console.log(`FOUND=${gateway.name}`);
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const [name = "", argument] = text.trim().split(" ");
  try {
    console.log(`DONE=${JSON.stringify(await steps[name]?.(Number(argument)) ?? null)}`);
  } catch (error) {
    console.log(`DONE=${JSON.stringify({ error: String(error) })}`);
  }
}
Deno.exit(0);
