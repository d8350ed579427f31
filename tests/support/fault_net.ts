import { join } from "node:path";
import { openIdentity } from "../../identity/mod.ts";
import type { HandlerEntry, SenderEntry, TaskKind, TaskView } from "./fault_history.ts";
import { readFaultJournal } from "./fault_journal.ts";
import { FaultProcess } from "./fault_process.ts";
import { readTaskViews } from "./fault_snapshot.ts";
import type { FaultSenderOptions } from "./fault_sender.ts";
import { directConnections, freeFixedPort } from "./fault_ports.ts";
import { startTcpProxy, type TcpProxy } from "./tcp_proxy.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
const AGENT_MAX_WORK_MS = 80;
const SECOND_LOOK_MS = 100;

export interface FaultNetOptions {
  /** Where homes and journals go. */
  readonly folder: string;
  /** The program to test, such as the path of the executable. Default: this checkout, run from source. */
  readonly program?: readonly string[];
  readonly kinds: readonly TaskKind[];
  readonly maxOpen?: number;
  readonly maxPauseMs?: number;
  readonly random?: () => number;
}

interface FaultNetParts {
  readonly daemons: readonly [sender: FaultProcess, receiver: FaultProcess];
  readonly programs: readonly [sender: FaultProcess, agent: FaultProcess];
  readonly links: readonly [TcpProxy, TcpProxy];
  readonly stack: AsyncDisposableStack;
  readonly ports: readonly [number, number];
  readonly journals: { readonly sender: string; readonly agent: string };
  readonly addresses: readonly [string, string];
  readonly receiverId: string;
  readonly forbidsStrays: boolean;
}

/**
 * Two real daemons that are told each other's proxies alone, an agent on one and a sender on the other: four processes. From
 * source, Deno's permissions forbid each daemon the other's own port, of which peers tell each other; {@link
 * FaultNet.strayConnections} is the witness.
 */
export class FaultNet implements AsyncDisposable {
  readonly senderDaemon: FaultProcess;
  readonly receiverDaemon: FaultProcess;
  readonly sender: FaultProcess;
  readonly agent: FaultProcess;
  /** The way from the sender's daemon to the receiver's, and back. */
  readonly links: readonly [TcpProxy, TcpProxy];
  /** Whether the daemons cannot get past the proxies; an executable of its own is free to. */
  readonly forbidsStrays: boolean;
  /** Where the sender's daemon answers, and whom it sends tasks to. */
  readonly sending: { readonly daemonAddr: string; readonly peerId: string };
  readonly #parts: FaultNetParts;

  private constructor(parts: FaultNetParts) {
    [this.senderDaemon, this.receiverDaemon] = parts.daemons;
    [this.sender, this.agent] = parts.programs;
    this.links = parts.links;
    this.forbidsStrays = parts.forbidsStrays;
    this.sending = { daemonAddr: parts.addresses[0], peerId: parts.receiverId };
    this.#parts = parts;
  }

  /** Starts everything; the sender has begun to send when it resolves. */
  static async start(options: FaultNetOptions): Promise<FaultNet> {
    const net = await FaultNet.prepare(options);
    try {
      await Promise.all([net.senderDaemon.start(), net.receiverDaemon.start()]);
      await Promise.all([net.agent.start(), net.sender.start()]);
      return net;
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Prepares everything and starts the proxies alone. */
  static async prepare(options: FaultNetOptions): Promise<FaultNet> {
    await using stack = new AsyncDisposableStack();
    const homes = [join(options.folder, "sender"), join(options.folder, "receiver")] as const;
    const peerIds: string[] = [];
    for (const home of homes) {
      await Deno.mkdir(home, { recursive: true, mode: 0o700 });
      peerIds.push((await openIdentity(join(home, "key"))).peerId);
    }
    const [senderId = "", receiverId = ""] = peerIds;
    const ports = [freeFixedPort(), freeFixedPort()] as const;
    const random = options.random ?? Math.random;
    const toReceiver = stack.use(startTcpProxy({ targetPort: ports[1], random }));
    const toSender = stack.use(startTcpProxy({ targetPort: ports[0], random }));
    const daemon = (own: 0 | 1, peer: { proxy: TcpProxy; peerId: string; port: number }) =>
      stack.use(
        new FaultProcess({
          name: own === 0 ? "sender daemon" : "receiver daemon",
          command: daemonCommand(options.program, peer.port),
          env: daemonEnv(homes[own], ports[own], `/ip4/127.0.0.1/tcp/${peer.proxy.port}/p2p/${peer.peerId}`),
          readyLine: "PEER_ID",
        }),
      );
    const daemons = [
      daemon(0, { proxy: toReceiver, peerId: receiverId, port: ports[1] }),
      daemon(1, { proxy: toSender, peerId: senderId, port: ports[0] }),
    ] as const;
    const addresses = [`unix://${homes[0]}/daemon.sock`, `unix://${homes[1]}/daemon.sock`] as const;
    const journals = { sender: join(options.folder, "sent"), agent: join(options.folder, "handled") };
    const senderOptions: FaultSenderOptions = {
      daemonAddr: addresses[0],
      journal: journals.sender,
      peerId: receiverId,
      kinds: options.kinds,
      maxOpen: options.maxOpen ?? 24,
      maxPauseMs: options.maxPauseMs ?? 40,
    };
    const sender = stack.use(toolProcess("sender", "fault_sender.ts", [JSON.stringify(senderOptions)]));
    const agentArgs = [addresses[1], journals.agent, String(AGENT_MAX_WORK_MS)];
    const agent = stack.use(toolProcess("agent", "fault_agent.ts", agentArgs));
    return new FaultNet({
      daemons,
      programs: [sender, agent],
      links: [toReceiver, toSender],
      stack: stack.move(),
      ports,
      journals,
      addresses,
      receiverId,
      forbidsStrays: options.program === undefined,
    });
  }

  /** TCP connections to a daemon's own port that did not come through a proxy: there must be none. */
  async strayConnections(): Promise<string[]> {
    const look = () =>
      directConnections(
        this.#parts.ports,
        new Set(this.links.flatMap(({ upstreamPorts }) => [...upstreamPorts])),
      );
    const first = await look();
    if (first.length === 0) return [];
    // The kernel knows a connection that a proxy has just made before the proxy does.
    await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
    const second = new Set(await look());
    return first.filter((stray) => second.has(stray));
  }

  /** The journals of the programs as they are now. */
  async journals(): Promise<{ sender: SenderEntry[]; handlers: HandlerEntry[] }> {
    return {
      sender: await readFaultJournal(this.#parts.journals.sender),
      handlers: await readFaultJournal(this.#parts.journals.agent),
    };
  }

  /** The tasks of both sides as they are now. */
  async views(): Promise<{ atSender: TaskView[]; atReceiver: TaskView[] }> {
    const [sender, receiver] = this.#parts.addresses;
    return {
      atSender: await readTaskViews(sender, "outbound"),
      atReceiver: await readTaskViews(receiver, "inbound"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stack.disposeAsync();
  }
}

function daemonCommand(program: readonly string[] | undefined, forbiddenPort: number): string[] {
  if (program !== undefined) return [...program, "daemon"];
  const config = join(ROOT, "deno.json");
  const flags = ["-A", `--deny-net=127.0.0.1:${forbiddenPort}`, "--quiet", "--config", config];
  return [Deno.execPath(), "run", ...flags, join(ROOT, "main.ts"), "daemon"];
}

function daemonEnv(home: string, port: number, peer: string): Record<string, string> {
  return {
    AGENTANYCAST_HOME: home,
    AGENTANYCAST_LISTEN_ADDRS: `/ip4/127.0.0.1/tcp/${port}`,
    AGENTANYCAST_BOOTSTRAP_PEERS: peer,
    AGENTANYCAST_ENABLE_MDNS: "false",
    AGENTANYCAST_LOG_OUTPUT: "file",
    AGENTANYCAST_LOG_LEVEL: "debug",
    NO_COLOR: "1",
  };
}

function toolProcess(name: string, file: string, args: readonly string[]): FaultProcess {
  const run = [Deno.execPath(), "run", "-A", "--quiet", "--config", join(ROOT, "deno.json")];
  const command = [...run, join(import.meta.dirname ?? ".", file), ...args];
  return new FaultProcess({ name, command, readyLine: "READY" });
}
