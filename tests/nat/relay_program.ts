// A relay as a process of its own: prints `RELAY_ADDR=<multiaddr>` and relays until it is killed.
import { createLogger } from "../../core/log.ts";
import { openP2pHost } from "../../p2p/mod.ts";

const [address = "127.0.0.1", port = "0", seedByte] = Deno.args;
const logger = createLogger({
  level: "debug",
  write: (line) => void Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`)),
});
const seed = seedByte === undefined
  ? crypto.getRandomValues(new Uint8Array(32))
  : new Uint8Array(32).fill(Number(seedByte));
const nothing = () => Promise.resolve(undefined);
const host = await openP2pHost({
  seed,
  handlers: {
    onA2aFrame: nothing as () => Promise<never>,
    onCardFrame: nothing,
    onPeerConnected: () => {},
    onPeerDisconnected: () => {},
  },
  logger,
}, {
  listen: [`/ip4/${address}/tcp/${port}`, `/ip4/${address}/udp/${port}/quic-v1/noise`],
  agentVersion: "agentanycast-lab-relay/1",
  mdns: { enabled: false, serviceTag: "", interfaces: [] },
  relayServer: {},
});
const tcp = host.addresses().find((one) => one.includes("/tcp/"));
console.log(`RELAY_ADDR=${tcp}`);
