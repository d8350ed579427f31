/**
 * What many callers that stay cost a bridge: streams of Server-Sent Events that are open at once, how long an event takes from
 * the agent to the caller, connections that say nothing, and the memory of the daemon meanwhile. Everything runs on the
 * loopback interface.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type IncomingTask, Node } from "../sdk/mod.ts";
import { parseCount, runBench } from "./arguments.ts";
import { describeMachine } from "./machine.ts";
import { cpuMs, residentMiB } from "./processes.ts";
import { FROM_SOURCE, startDaemonProgram } from "./programs.ts";
import { toDigits, toTable } from "./table.ts";

/** Requests under way at once while the streams are opened. */
const OPENING = 32;
const USAGE = `Usage: deno task bench:bridge [options]

Opens streams of Server-Sent Events through the bridge of a daemon, each of a task of its own, has the agent report on one
task after another, and measures how long each report takes from the agent to the caller. Then opens connections that say
nothing. Round trips of the bridge are measured by: deno task bench --only http-a2a,bridge,bridge-remote

Options:
  --streams N        streams open at once (default 1000)
  --events N         reports (default 1000)
  --per-second N     reports a second (default 50)
  --idle N           connections that say nothing (default 10000)
  --program PATH     measure this executable instead of the source
  --json             print JSON instead of a table
  --help             print this`;

interface Options {
  readonly streams: number;
  readonly events: number;
  readonly perSecond: number;
  readonly idle: number;
}

interface Result {
  readonly residentMiB: Readonly<Record<"started" | "streams" | "events" | "idle", number>>;
  readonly openedPerSecond: number;
  readonly eventMs: Readonly<Record<"p50" | "p99" | "max", number>>;
  readonly cpuMsPerEvent: number;
  readonly idleConnections: number;
  /** How long a request took beside the idle connections. */
  readonly cardMs: number;
}

/** The agent, in this process so that both ends read one clock: its tasks stay at work. */
async function startAgent(daemonAddr: string): Promise<AsyncDisposable & { tasks: IncomingTask[] }> {
  const tasks: IncomingTask[] = [];
  const node = new Node({
    daemonAddr,
    card: {
      name: "Bench",
      description: "Reports",
      version: "1.0.0",
      skills: [{ id: "report", name: "Report", description: "Reports", tags: ["bench"] }],
    },
  });
  node.onTask(async (task) => {
    await task.updateStatus("working", "0");
    tasks.push(task);
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve, { once: true }));
  }, { maxConcurrent: 100_000 });
  await node.start();
  return { tasks, [Symbol.asyncDispose]: () => node.stop() };
}

/** Opens a stream and hands each text that the agent reports to `onReport`. */
async function openStream(url: string, signal: AbortSignal, onReport: (text: string) => void): Promise<void> {
  const message = { role: "ROLE_USER", messageId: crypto.randomUUID(), parts: [{ text: "report" }] };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "a2a-version": "1.0" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "SendStreamingMessage", params: { message } }),
    signal,
  });
  if (!response.ok || response.body === null) throw new Error(`The bridge answered ${response.status}`);
  const lines = response.body.pipeThrough(new TextDecoderStream());
  void (async () => {
    for await (const chunk of lines) {
      for (const [, text = ""] of chunk.matchAll(/"text":"(\d[\d.]*)"/g)) onReport(text);
    }
  })().catch(() => {}); // the end of the bench
}

async function openStreams(
  url: string,
  { count, signal, onReport }: { count: number; signal: AbortSignal; onReport: (text: string) => void },
): Promise<number> {
  const startMs = performance.now();
  let left = count;
  await Promise.all(Array.from({ length: OPENING }, async () => {
    while (left-- > 0) await openStream(url, signal, onReport);
  }));
  return count / (performance.now() - startMs) * 1000;
}

async function report(
  tasks: readonly IncomingTask[],
  { events, perSecond }: Options,
  arrived: () => number,
): Promise<void> {
  const startMs = performance.now();
  for (let i = 0; i < events; i++) {
    await sleep(startMs + i * 1000 / perSecond - performance.now());
    void tasks[i % tasks.length]?.updateStatus("working", String(performance.now()));
  }
  while (arrived() < events) await sleep(10);
}

async function connectIdle(url: string, count: number): Promise<Deno.Conn[]> {
  const { hostname, port } = new URL(url);
  const connections: Deno.Conn[] = [];
  for (let i = 0; i < count; i++) connections.push(await Deno.connect({ hostname, port: Number(port) }));
  return connections;
}

async function measure(command: readonly string[], options: Options): Promise<Result> {
  const listen = `127.0.0.1:${freePort()}`;
  const url = `http://${listen}`;
  await using daemon = await startDaemonProgram(command, { env: { AGENTANYCAST_BRIDGE_LISTEN: listen } });
  await using agent = await startAgent(daemon.grpcAddress);
  const controller = new AbortController();
  const latencies: number[] = [];
  const onReport = (text: string) => {
    if (text !== "0") latencies.push(performance.now() - Number(text));
  };
  const started = await residentMiB(daemon.pid);
  const openedPerSecond = await openStreams(url, {
    ...{ count: options.streams, signal: controller.signal, onReport },
  });
  while (agent.tasks.length < options.streams) await sleep(10);
  const streams = await residentMiB(daemon.pid);
  const cpuBeforeMs = await cpuMs([daemon.pid]);
  await report(agent.tasks, options, () => latencies.length);
  const cpuMsPerEvent = (await cpuMs([daemon.pid]) - cpuBeforeMs) / options.events;
  const events = await residentMiB(daemon.pid);
  const connections = await connectIdle(url, options.idle);
  const askedMs = performance.now();
  await (await fetch(`${url}/.well-known/agent-card.json`)).body?.cancel();
  const cardMs = performance.now() - askedMs;
  const idle = await residentMiB(daemon.pid);
  for (const connection of connections) connection.close();
  controller.abort();
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return {
    residentMiB: { started, streams, events, idle },
    openedPerSecond,
    eventMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    ...{ cpuMsPerEvent, idleConnections: connections.length, cardMs },
  };
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, delayMs)));
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function toRows({ residentMiB: resident, ...result }: Result): string[][] {
  return [
    ["Figure", "Value"],
    ["RSS of the daemon at the start, MiB", toDigits(resident.started)],
    ["RSS with the streams open, MiB", toDigits(resident.streams)],
    ["RSS after the events, MiB", toDigits(resident.events)],
    [`RSS with ${result.idleConnections} idle connections more, MiB`, toDigits(resident.idle)],
    ["Streams opened a second", toDigits(result.openedPerSecond)],
    ["Event latency p50, ms", toDigits(result.eventMs.p50)],
    ["Event latency p99, ms", toDigits(result.eventMs.p99)],
    ["Event latency max, ms", toDigits(result.eventMs.max)],
    ["CPU of the daemon per event, ms", toDigits(result.cpuMsPerEvent)],
    ["A card beside the idle connections, ms", toDigits(result.cardMs)],
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      "streams": { type: "string", default: "1000" },
      "events": { type: "string", default: "1000" },
      "per-second": { type: "string", default: "50" },
      "idle": { type: "string", default: "10000" },
      "program": { type: "string" },
      "json": { type: "boolean", default: false },
      "help": { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const options = {
    streams: parseCount("--streams", values.streams),
    events: parseCount("--events", values.events),
    perSecond: parseCount("--per-second", values["per-second"]),
    idle: parseCount("--idle", values.idle, { min: 0 }),
  };
  const command = values.program === undefined ? FROM_SOURCE : [values.program];
  const result = await measure(command, options);
  if (values.json) {
    return console.log(JSON.stringify({ machine: describeMachine(), options, ...result }, null, 2));
  }
  console.log(describeMachine());
  console.log(toTable(toRows(result)));
}

if (import.meta.main) {
  await runBench(main);
  Deno.exit(Deno.exitCode); // the streams that were cut
}
