/**
 * Each transport between two processes on loopback, in turns: time to connect, round trip, bytes per second and the CPU that
 * they cost, memory of the listener.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { createLogger } from "../core/log.ts";
import { openP2pHost, type P2pHandlers, type P2pHost, type P2pHostOptions } from "../p2p/mod.ts";
import { parseCount, runBench } from "./arguments.ts";
import { describeMachine } from "./machine.ts";
import { cpuMs, watchResident } from "./processes.ts";
import { toDigits, toTable } from "./table.ts";

const USAGE = `Usage: deno task bench:transports [options]

Two processes on loopback, every transport in turns; medians of all rounds.

  --rounds N       rounds (default 3)
  --pings N        round trips in a round (default 50)
  --mib N          MiB in a round (default 32)
  --json           print JSON instead of a table
  --help           print this`;

const PROTOCOL = "/bench/transports/1.0";
const FRAME = new Uint8Array(64 * 1024);
const MIB = 1024 * 1024;
const LISTEN = {
  tcp: "/ip4/127.0.0.1/tcp/0",
  quic: "/ip4/127.0.0.1/udp/0/quic-v1/noise",
  webtransport: "/ip4/127.0.0.1/udp/0/quic-v1/webtransport",
  "webrtc-direct": "/ip4/127.0.0.1/udp/0/webrtc-direct",
};

interface Round {
  connectMs: number;
  roundTripMs: number;
  mibPerSecond: number;
  cpuMsPerMib: number;
  idleMib: number;
  loadedMib: number;
}

function openHost(options: Partial<P2pHostOptions>, onChannel?: P2pHandlers["onChannel"]): Promise<P2pHost> {
  return openP2pHost({
    seed: crypto.getRandomValues(new Uint8Array(32)),
    handlers: {
      onA2aFrame: () => Promise.resolve(),
      onCardFrame: () => Promise.resolve(undefined),
      onPeerConnected() {},
      onPeerDisconnected() {},
      ...onChannel && { onChannel },
    },
    logger: createLogger({ level: "error", write: (line) => console.error(line) }),
  }, {
    listen: [],
    mdns: { enabled: false, serviceTag: "", interfaces: [] },
    agentVersion: "bench",
    ...{ webTransport: true, webRtcDirect: true },
    ...options,
  });
}

/** The other process: answers each channel with the number of bytes that came on it. */
async function listen(address: string): Promise<void> {
  const host = await openHost({ listen: [address], channelProtocols: [PROTOCOL] }, async (channel) => {
    let received = 0;
    for await (const frame of channel.frames()) received += frame.length;
    await channel.send(new TextEncoder().encode(String(received)));
    await channel.close();
  });
  console.log(JSON.stringify({ peerId: host.peerId, address: host.addresses()[0] }));
}

async function startListener(address: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename ?? "", "--listen", address],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The listener on ${address} did not start`);
    said += value;
  }
  return {
    ...JSON.parse(said) as { peerId: string; address: string },
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill();
      await reader.cancel();
      await child.status;
    },
  };
}

type RunningListener = Awaited<ReturnType<typeof startListener>>;

async function measure(
  listener: RunningListener,
  { pings, mib }: { pings: number; mib: number },
): Promise<Round> {
  const { peerId, address, pid } = listener;
  await using host = await openHost({});
  const startedAt = performance.now();
  await host.connect(peerId, [address]);
  const connectMs = performance.now() - startedAt;
  const roundTrips: number[] = [];
  for (let i = 0; i < pings; i++) roundTrips.push(await host.ping(peerId));
  const channel = await host.openChannel(peerId, PROTOCOL);
  const pids = [Deno.pid, pid];
  const cpuBefore = await cpuMs(pids);
  let tookMs = 0;
  const [resident] = await watchResident([pid], async () => {
    const sendingAt = performance.now();
    for (let sent = 0; sent < mib * MIB; sent += FRAME.length) await channel.send(FRAME);
    await channel.close();
    for await (const answer of channel.frames()) {
      const received = Number(new TextDecoder().decode(answer));
      if (received !== mib * MIB) throw new Error(`${received} bytes of ${mib * MIB} arrived`);
    }
    tookMs = performance.now() - sendingAt;
  });
  return {
    connectMs,
    roundTripMs: median(roundTrips),
    mibPerSecond: mib / tookMs * 1000,
    cpuMsPerMib: (await cpuMs(pids) - cpuBefore) / mib,
    idleMib: resident?.startMiB ?? NaN,
    loadedMib: resident?.maxMiB ?? NaN,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function compare({ rounds, pings, mib }: { rounds: number; pings: number; mib: number }) {
  await using stack = new AsyncDisposableStack();
  const contenders: { transport: string; listener: RunningListener; rounds: Round[] }[] = [];
  for (const [transport, address] of Object.entries(LISTEN)) {
    contenders.push({ transport, listener: stack.use(await startListener(address)), rounds: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { listener, rounds: done } of contenders) done.push(await measure(listener, { pings, mib }));
  }
  return contenders.map(({ transport, rounds: done }) => {
    const of = (key: keyof Round) => median(done.map((one) => one[key]));
    return {
      transport,
      connectMs: of("connectMs"),
      roundTripMs: of("roundTripMs"),
      mibPerSecond: of("mibPerSecond"),
      cpuMsPerMib: of("cpuMsPerMib"),
      idleMib: of("idleMib"),
      loadedMib: of("loadedMib"),
    };
  });
}

await runBench(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      pings: { type: "string", default: "50" },
      mib: { type: "string", default: "32" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      listen: { type: "string" },
    },
  });
  if (values.help) return console.log(USAGE);
  if (values.listen !== undefined) return await listen(values.listen);
  const results = await compare({
    rounds: parseCount("--rounds", values.rounds),
    pings: parseCount("--pings", values.pings),
    mib: parseCount("--mib", values.mib),
  });
  if (values.json) console.log(JSON.stringify({ machine: describeMachine(), results }));
  else {
    console.log(toTable([
      ["", "connect ms", "round trip ms", "MiB/s", "CPU ms/MiB", "idle MiB", "loaded MiB"],
      ...results.map(({ transport, ...figures }) => [transport, ...Object.values(figures).map(toDigits)]),
    ]));
  }
  Deno.exit(0);
});
