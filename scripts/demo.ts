/**
 * `deno task demo [TEXT|-]`: two daemons in two temporary homes, an echo agent on one, a real task from the other. Prints
 * what happens as it happens, leaves nothing behind, and exits 0 only when the artifact came back.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../core/clock.ts";
import { printable } from "../core/log.ts";
import { Node, type PeerInfo } from "../sdk/mod.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");
const DEADLINE_MS = 60_000;
const USAGE = `Two daemons, an echo agent and one real task, on this machine alone.

Usage: deno task demo [TEXT]

  TEXT  what to send; "-" reads standard input. Default: a greeting

Examples:
  deno task demo
  deno task demo "Guten Tag"
  echo "from a pipe" | deno task demo -
`;

/** A daemon of its own process, and the lines it prints. */
class DaemonProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #found = new Map<string, PromiseWithResolvers<string>>();
  readonly #reading: Promise<void>;

  constructor(verb: string, readonly home: string) {
    const flags = ["--home", home, "--listen", "/ip4/127.0.0.1/tcp/0", "--mdns-interfaces", "127.0.0.1"];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", join(ROOT, "main.ts"), verb, ...flags, "--log-output", "file"],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reading = this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The value of the line `NAME=value`; rejects when the process ends without it. */
  line(name: string): Promise<string> {
    return this.#waiter(name).promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended already.
    }
    await this.#child.status;
    await this.#reading;
  }

  #waiter(name: string): PromiseWithResolvers<string> {
    const waiter = this.#found.get(name) ?? Promise.withResolvers<string>();
    this.#found.set(name, waiter);
    return waiter;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
        if (name !== undefined && value !== undefined) this.#waiter(name).resolve(value);
      }
    }
    const { code } = await this.#child.status;
    for (const waiter of this.#found.values()) {
      waiter.promise.catch(() => {/* told to whoever waits */});
      waiter.reject(new Error(`The daemon on ${this.home} ended with exit code ${code}`));
    }
  }
}

const startMs = performance.now();

function say(who: string, what: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(2).padStart(6);
  console.log(`${seconds} s  ${who.padEnd(10)} ${printable(what)}`);
}

const short = (peerId: string) => `${peerId.slice(0, 8)}…${peerId.slice(-6)}`;

async function readText(args: readonly string[]): Promise<string> {
  const text = args.length === 1 && args[0] === "-"
    ? await new Response(Deno.stdin.readable).text()
    : args.join(" ");
  return text.trim() || "Hello from the other side of the wire";
}

async function waitForPeer(node: Node, peerId: string, signal: AbortSignal): Promise<PeerInfo> {
  for (;;) {
    const peer = (await node.listPeers()).find((one) => one.peerId === peerId);
    if (peer !== undefined) return peer;
    await systemClock.sleep(20, signal);
  }
}

async function exchange(text: string, homes: { agent: string; sender: string }): Promise<boolean> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  await using agent = new DaemonProcess("demo", homes.agent);
  await using sender = new DaemonProcess("daemon", homes.sender);
  const [agentId, senderId] = await Promise.all([agent.line("PEER_ID"), sender.line("PEER_ID")]);
  say("agent", `daemon ready: ${short(agentId)} (process ${agent.pid}), with an echo agent`);
  say("sender", `daemon ready: ${short(senderId)} (process ${sender.pid})`);

  await using node = new Node({ daemonAddr: `unix://${join(homes.sender, "daemon.sock")}` });
  await node.start();
  const peer = await waitForPeer(node, agentId, signal);
  const how = peer.direction === "inbound" ? "was found by" : "found";
  say("sender", `${how} ${short(agentId)} over mDNS on 127.0.0.1: ${peer.addresses[0] ?? "address unknown"}`);
  say("both", "TCP, Noise handshake (each side proved the Ed25519 key of its peer id), Yamux streams");
  const card = await node.getCard(agentId);
  say("sender", `has its card: "${card.name}", skills: ${card.skills.map((skill) => skill.id).join(", ")}`);

  const sentMs = performance.now();
  const handle = await node.sendTask(text, { peerId: agentId, targetSkill: "echo", signal });
  say("sender", `sent task ${handle.taskId.slice(0, 8)}: "${text}"`);
  for await (const update of handle.events({ signal })) say("task", update.status);
  const task = await handle.wait({ signal });
  const answer = task.artifacts.flatMap(({ parts }) => parts.map((part) => part.text ?? "")).join("");
  say("sender", `artifact: "${answer}" (${(performance.now() - sentMs).toFixed(1)} ms from send to result)`);
  return answer === `Echo: ${text}`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    options: { help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const text = await readText(positionals);
  const folder = await Deno.makeTempDir({ prefix: "agentanycast-demo-" });
  try {
    const done = await exchange(text, { agent: join(folder, "agent"), sender: join(folder, "sender") });
    say("demo", done ? "done, both daemons stopped" : "FAILED: the artifact is not what was sent");
    return done ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.exit(await main());
