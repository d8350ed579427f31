/**
 * What it costs in round trips to reach a peer over a slow link: until a connection is there, and until a ping over it is back.
 * Beside it the default stack of js-libp2p (TCP, Noise, Yamux, identify), in turns on the same kind of link.
 *
 * @module
 */
import { circuitRelayServer, circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { parseArgs } from "node:util";
import { openP2pHost, type P2pHost, type P2pHostOptions } from "../p2p/mod.ts";
import { createLogger } from "../core/log.ts";
import { parseCount, parsePositive, runBench } from "./arguments.ts";
import { startTcpDelay, startUdpDelay } from "./delay_proxy.ts";
import { describeMachine } from "./machine.ts";
import { toTable } from "./table.ts";

const USAGE = `Usage: deno task bench:dial [options]

Round trips until a connection to a peer is there, and until a ping over it is back, over links that take 50 ms in each
direction; through a relay a round trip passes both of its links. The least of all rounds, since a busy machine only adds.

  --delay MS       what a link takes in each direction (default 50)
  --rounds N       dials of each kind (default 7)
  --json           print JSON instead of a table
  --help           print this`;

const LOOPBACK_TCP = "/ip4/127.0.0.1/tcp/0";
const LOOPBACK_QUIC = "/ip4/127.0.0.1/udp/0/quic-v1/noise";
const RESERVE_MS = 20;

/** A way to a peer that is dialed anew each time. Times are milliseconds. */
interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Links on the way. */
  readonly links: number;
  dial(): Promise<{ connectedMs: number; pingedMs: number }>;
}

interface Result {
  contender: string;
  connectedRoundTrips: number;
  pingedRoundTrips: number;
}

function openHost(options: Partial<P2pHostOptions>): Promise<P2pHost> {
  return openP2pHost({
    seed: crypto.getRandomValues(new Uint8Array(32)),
    handlers: {
      onA2aFrame: () => Promise.resolve(),
      onCardFrame: () => Promise.resolve(undefined),
      onPeerConnected() {},
      onPeerDisconnected() {},
    },
    logger: createLogger({ level: "error", write: (line) => console.error(line) }),
  }, { listen: [], mdns: { enabled: false }, agentVersion: "bench", ...options } as P2pHostOptions);
}

function openLibp2p(options: { listen?: string[]; relays?: boolean } = {}) {
  return createLibp2p({
    addresses: { listen: options.listen ?? [] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Its own default would have it refuse the dials of this bench.
    connectionManager: { inboundConnectionThreshold: 1_000 },
    connectionGater: { denyDialMultiaddr: () => false },
    services: {
      identify: identify(),
      ping: ping({ runOnLimitedConnection: true }),
      ...options.relays && { relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }) },
    },
  });
}

/** `address`, whose port is a proxy's now. */
function through(address: string, port: number): string {
  return address.replace(/\/(tcp|udp)\/\d+/, `/$1/${port}`);
}

function portOf(address: string): number {
  return Number(/\/(?:tcp|udp)\/(\d+)/.exec(address)?.[1]);
}

function slow(address: string, delayMs: number) {
  const start = address.includes("/udp/") ? startUdpDelay : startTcpDelay;
  const proxy = start({ port: portOf(address), delayMs });
  return { proxy, address: through(address, proxy.port) };
}

async function direct(name: string, listen: string, delayMs: number): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const listener = stack.use(await openHost({ listen: [listen] }));
  const { proxy, address } = slow(listener.addresses()[0] ?? "", delayMs);
  stack.use(proxy);
  const { peerId } = listener;
  const owned = stack.move();
  return {
    name,
    links: 1,
    async dial() {
      await using host = await openHost({});
      return await timed(() => host.connect(peerId, [address]), () => host.ping(peerId));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function relayed(name: string, listen: string, delayMs: number): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const relay = stack.use(await openHost({ listen: [listen], relayServer: {} }));
  const { proxy, address } = slow(relay.addresses()[0] ?? "", delayMs);
  stack.use(proxy);
  const options = { bootstrapPeers: [address], holePunching: false };
  const listener = stack.use(await openHost(options));
  await reserved(listener);
  const { peerId } = listener;
  const owned = stack.move();
  return {
    name,
    links: 2,
    async dial() {
      await using host = await openHost(options);
      await reserved(host);
      return await timed(() => host.connect(peerId, []), () => host.ping(peerId));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function libp2pDirect(delayMs: number): Promise<Contender> {
  const listener = await openLibp2p({ listen: [LOOPBACK_TCP] });
  const { proxy, address } = slow(String(listener.getMultiaddrs()[0]), delayMs);
  return {
    name: "js-libp2p, TCP",
    links: 1,
    async dial() {
      const dialer = await openLibp2p();
      try {
        return await timed(
          () => dialer.dial(multiaddr(address)),
          () => dialer.services.ping.ping(listener.peerId),
        );
      } finally {
        await dialer.stop();
      }
    },
    async [Symbol.asyncDispose]() {
      await listener.stop();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function libp2pRelayed(delayMs: number): Promise<Contender> {
  const relay = await openLibp2p({ listen: [LOOPBACK_TCP], relays: true });
  const { proxy, address } = slow(String(relay.getMultiaddrs()[0]), delayMs);
  const listener = await openLibp2p({ listen: [`${address}/p2p-circuit`] });
  while (listener.getMultiaddrs().length === 0) await sleep(RESERVE_MS);
  const target = multiaddr(`${address}/p2p-circuit/p2p/${listener.peerId}`);
  return {
    name: "js-libp2p, TCP, relayed",
    links: 2,
    async dial() {
      const dialer = await openLibp2p();
      try {
        await dialer.dial(multiaddr(address));
        while ((await dialer.peerStore.get(relay.peerId)).protocols.length === 0) await sleep(RESERVE_MS);
        return await timed(() => dialer.dial(target), () => dialer.services.ping.ping(target));
      } finally {
        await dialer.stop();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const node of [listener, relay]) await node.stop();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function reserved(host: P2pHost): Promise<void> {
  while (host.relayedAddresses().length === 0) await sleep(RESERVE_MS);
}

async function timed(connect: () => Promise<unknown>, pingOnce: () => Promise<unknown>) {
  const startMs = performance.now();
  await connect();
  const connectedMs = performance.now() - startMs;
  await pingOnce();
  return { connectedMs, pingedMs: performance.now() - startMs };
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

await runBench(async () => {
  const { values } = parseArgs({
    options: {
      delay: { type: "string", default: "50" },
      rounds: { type: "string", default: "7" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const delayMs = parsePositive("--delay", values.delay);
  const rounds = parseCount("--rounds", values.rounds);
  await using stack = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (
    const opening of [
      direct("AgentAnycast, QUIC", LOOPBACK_QUIC, delayMs),
      direct("AgentAnycast, TCP", LOOPBACK_TCP, delayMs),
      libp2pDirect(delayMs),
      relayed("AgentAnycast, TCP, relayed", LOOPBACK_TCP, delayMs),
      libp2pRelayed(delayMs),
    ]
  ) contenders.push(stack.use(await opening));
  const least = new Map(contenders.map(({ name }) => [name, { connectedMs: Infinity, pingedMs: Infinity }]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const { connectedMs, pingedMs } = await contender.dial();
      const known = least.get(contender.name);
      if (known === undefined) continue;
      known.connectedMs = Math.min(known.connectedMs, connectedMs);
      known.pingedMs = Math.min(known.pingedMs, pingedMs);
    }
  }
  const results = contenders.map(({ name, links }): Result => {
    const roundTrips = (ms = 0) => Math.round(ms / (2 * delayMs * links) * 100) / 100;
    const found = least.get(name);
    return {
      contender: name,
      connectedRoundTrips: roundTrips(found?.connectedMs),
      pingedRoundTrips: roundTrips(found?.pingedMs),
    };
  });
  if (values.json) {
    return console.log(JSON.stringify({ machine: describeMachine(), delayMs, rounds, results }));
  }
  console.log(toTable([
    ["round trips of the whole way", "until connected", "until a ping is back"],
    ...results.map(({ contender, connectedRoundTrips, pingedRoundTrips }) => [
      contender,
      connectedRoundTrips.toFixed(2),
      pingedRoundTrips.toFixed(2),
    ]),
  ]));
});
Deno.exit(0);
