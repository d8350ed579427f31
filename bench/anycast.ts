/**
 * Anycast while relays come and go: federated relays, agents of which some are behind a NAT, each in a network namespace of
 * its own, and a sender that sends to a skill without a pause. Needs `ip` and `nft` and the right to make namespaces.
 *
 *     deno run -A bench/anycast.ts [--agents 10] [--seconds 30]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Node } from "../sdk/mod.ts";
import { parseCount, runBench } from "./arguments.ts";
import { AnycastNet } from "./anycast_net.ts";
import { toDigits, toTable } from "./table.ts";

const RELAYS = 3;
const NAT_AGENTS = 2;

/** One task: when it was sent, how long it took and what became of it. Milliseconds since the start. */
interface Sent {
  readonly atMs: number;
  readonly tookMs: number;
  readonly status: string;
}

/** Something that was done to the network, and until it was made up for. */
interface Event {
  readonly what: string;
  readonly ms: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { agents: { type: "string" }, seconds: { type: "string" } } });
  const agents = parseCount("--agents", values.agents ?? "10", { min: NAT_AGENTS + 2 });
  const seconds = parseCount("--seconds", values.seconds ?? "30", { min: 10 });
  await using net = await AnycastNet.start({ relays: RELAYS, agents, natAgents: NAT_AGENTS });
  await using sender = new Node({ daemonAddr: net.senderAddress });
  await sender.start();
  const events: Event[] = [];
  const found = async (what: string, isRight: (peerIds: readonly string[]) => boolean) => {
    const startMs = performance.now();
    while (true) {
      const known = await sender.discover("echo").catch(() => []);
      if (isRight(known.map(({ peerId }) => peerId))) break;
      await pause(50);
    }
    events.push({ what, ms: performance.now() - startMs });
  };
  await found(`all ${agents - 1} agents are found`, (known) => known.length >= agents - 1);
  const late = await net.startAgent();
  await found("a new agent is found, from its card on", (known) => known.includes(late));
  const traffic = sendAll(sender, seconds * 1000);
  for (let relay = 0; relay < RELAYS; relay++) {
    await pause(seconds * 1000 / (RELAYS * 6));
    await net.killRelay(relay);
    await pause(seconds * 1000 / (RELAYS * 6));
    await net.restartRelay(relay);
    await found(`relay ${relay + 1} is back: all agents are found`, (known) => known.length >= agents);
  }
  await net.killAgent(NAT_AGENTS);
  await pause(5_000);
  await net.restartAgent(NAT_AGENTS);
  const sent = await traffic;
  report(events, sent);
}

/** Sends to the skill, one task after the other, and waits for each. */
async function sendAll(sender: Node, durationMs: number): Promise<Sent[]> {
  const startMs = performance.now();
  const sent: Sent[] = [];
  while (performance.now() - startMs < durationMs) {
    const atMs = performance.now();
    const outcome = await send(sender);
    sent.push({ atMs: atMs - startMs, tookMs: performance.now() - atMs, status: outcome });
    await pause(50);
  }
  return sent;
}

async function send(sender: Node): Promise<string> {
  try {
    const handle = await sender.sendTask("Hello", { skill: "echo" });
    return (await handle.wait({ timeoutMs: 60_000 })).status;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 160) : String(error);
  }
}

function report(events: readonly Event[], sent: readonly Sent[]): void {
  console.log(toTable([["event", "s"], ...events.map(({ what, ms }) => [what, toDigits(ms / 1000)])]));
  const took = sent.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  const at = (part: number) => toDigits(took[Math.floor((took.length - 1) * part)] ?? 0);
  const done = sent.filter(({ status }) => status === "completed").length;
  console.log(
    `\n${sent.length} tasks, ${done} completed; ms: p50 ${at(0.5)}, p95 ${at(0.95)}, most ${at(1)}`,
  );
  for (
    const { atMs, tookMs, status } of sent.filter((one) => one.tookMs > 1_000 || one.status !== "completed")
  ) {
    console.log(`  at ${toDigits(atMs / 1000)} s: ${status} after ${toDigits(tookMs / 1000)} s`);
  }
  console.log(
    JSON.stringify({ events, tasks: sent.length, completed: done, p50: at(0.5), p95: at(0.95), most: at(1) }),
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) await runBench(main);
