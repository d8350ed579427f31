import { join } from "node:path";
import { systemClock } from "../core/clock.ts";
import { type IncomingTask, Node } from "../sdk/mod.ts";
import { RunningProgram } from "../tests/support/program.ts";
import { tempDir } from "../tests/support/temp_dir.ts";
import type { Impairment } from "../tests/nat/impaired_network.ts";
import { type Lab, type LabHost, type NatKind, startLab } from "../tests/nat/lab.ts";
import { daemonArguments, relayAddressFor, relayArguments, type TransportSet } from "./nat_transports.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");
const PROGRAM = [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")];
/** A task that has not come back after this time counts as not delivered. */
const TASK_TIMEOUT_MS = 20_000;
/** How often a connection is looked at: first, and when it has not become direct in {@link SOON_MS}. */
const LOOK_MS = 50;
const LOOK_LATER_MS = 400;
const SOON_MS = 2_000;

/** What two hosts reached. Times are milliseconds from the call that sent the first task. */
export interface Cell {
  from: NatKind;
  to: NatKind;
  /** What both may use. */
  transports: TransportSet;
  delivered: boolean;
  /** Until the first task was back; undefined when it was not. */
  firstTaskMs: number | undefined;
  /** How the connection ended up. */
  path: "direct" | "relayed" | "none";
  transport: string;
  /** Until the connection was direct. */
  directMs: number | undefined;
  /** Why it is not, as the sender's daemon says it. */
  obstacle: string | undefined;
  /** What the sender found out about its own NAT. */
  verdict: string;
}

/** What is run. */
export interface MatrixOptions {
  pairs: readonly (readonly [NatKind, NatKind])[];
  /** Default `all`. */
  transports?: TransportSet;
  /** What befalls packets between hosts. Default nothing. */
  impairment?: Impairment | undefined;
  /** How long to wait for a direct connection after the first task, in milliseconds. */
  directTimeoutMs: number;
  onCell?: (cell: Cell) => void;
  /** Folder for the daemons' homes. Default a temporary one. */
  folder?: string;
}

/**
 * Real daemons on hosts behind NATs of each kind, and two relays. Each pair meets for the first time, by peer id alone: the
 * first sends a task, then the way of their connection is watched.
 */
export async function runMatrix(options: MatrixOptions): Promise<Cell[]> {
  const { pairs, transports = "all", impairment, directTimeoutMs, onCell } = options;
  await using lab = await startLab({ impairment });
  await using dir = await tempDir();
  await using bench = await Bench.start(lab, options.folder ?? dir.path, { transports });
  const cells: Promise<Cell>[] = [];
  for (const [from, to] of pairs) {
    // Tasks are sent one by one, so that their times mean something; connections are watched at the same time.
    const { delivered, end } = await bench.meet(from, to, directTimeoutMs);
    cells.push(end.then((found) => {
      const cell = { from, to, transports, ...delivered, ...found };
      onCell?.(cell);
      return cell;
    }));
  }
  return await Promise.all(cells);
}

type PathFound = Pick<Cell, "path" | "transport" | "directMs" | "obstacle" | "verdict">;

/** Two hosts that have sent their first task. */
export interface Meeting {
  delivered: Pick<Cell, "delivered" | "firstTaskMs">;
  end: Promise<PathFound>;
}

interface Agent {
  host: LabHost;
  peerId: string;
  program: RunningProgram;
}

/** A relay that can be killed and started again: its key, port and address stay. */
export class Relay implements AsyncDisposable {
  /** Multiaddrs on the shared network, once it was started. */
  addresses: readonly string[] = [];
  #program: RunningProgram | undefined;

  constructor(readonly host: LabHost, readonly folder: string, readonly number: number) {}

  async start(): Promise<void> {
    const home = join(this.folder, `relay-${this.number}`);
    const command = [...PROGRAM, "relay", "--home", home, ...relayArguments()];
    this.#program = new RunningProgram(this.host.command(command));
    await this.#program.value("API_ADDR");
    this.addresses = this.#program.lines.flatMap((line) =>
      /^RELAY_ADDR=(\/ip4\/5\.5\..*)$/.exec(line)?.[1] ?? []
    );
  }

  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** The daemons of a laboratory: started when they are first needed, one per kind and side. */
export class Bench implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #agents = new Map<string, Promise<Agent>>();
  readonly #nodes = new Map<string, Promise<Node>>();
  readonly #senderHosts = new Map<NatKind, LabHost>();

  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    readonly relays: readonly Relay[],
    readonly transports: TransportSet | undefined,
  ) {}

  /** Starts `count` relays, two unless said otherwise. Without `transports` daemons use what they use by default. */
  static async start(
    lab: Lab,
    folder: string,
    { count = 2, transports }: { count?: number; transports?: TransportSet } = {},
  ): Promise<Bench> {
    const relays: Relay[] = [];
    for (let number = 1; number <= count; number++) {
      relays.push(new Relay(await lab.addHost("open"), folder, number));
    }
    const bench = new Bench(lab, folder, relays, transports);
    await using stack = new AsyncDisposableStack();
    for (const relay of relays) {
      stack.use(relay);
      await relay.start();
    }
    bench.#stack.use(stack.move());
    return bench;
  }

  /** An echoing agent behind a NAT of `kind`. */
  agent(kind: NatKind): Promise<Agent> {
    return this.#once(this.#agents, kind, async () => {
      const agent = await this.#start(kind, "demo");
      await using node = await this.#attach(kind, "demo");
      await this.#untilReachable(node);
      return agent;
    });
  }

  /** A node that sends from behind a NAT of `kind`. */
  sender(kind: NatKind): Promise<Node> {
    return this.#once(this.#nodes, kind, async () => {
      const { host } = await this.#start(kind, "daemon");
      this.#senderHosts.set(kind, host);
      const node = this.#stack.use(await this.#attach(kind, "daemon"));
      await this.#untilReachable(node);
      return node;
    });
  }

  /** Where the node of {@link sender} runs, once it does. */
  senderHost(kind: NatKind): LabHost {
    const host = this.#senderHosts.get(kind);
    if (host === undefined) throw new TypeError(`no sender behind ${kind} was started`);
    return host;
  }

  /** An agent of the caller's own behind a NAT of `kind`; nothing else may run there. */
  async ownAgent(kind: NatKind, handler: (task: IncomingTask) => Promise<void>): Promise<Node> {
    await this.#start(kind, "daemon");
    const card = { name: "Laboratory", skills: [{ id: "lab" }] };
    const node = this.#stack.use(new Node({ daemonAddr: this.#addressOf(kind, "daemon"), card }));
    node.onTask(handler);
    await node.start();
    await this.#untilReachable(node);
    return node;
  }

  /** Has a pair meet: resolves when its first task is back; `end` then says how their connection ends up. */
  async meet(from: NatKind, to: NatKind, directTimeoutMs: number): Promise<Meeting> {
    const { peerId } = await this.agent(to);
    const node = await this.sender(from);
    const startMs = performance.now();
    let firstTaskMs: number | undefined;
    try {
      const handle = await node.sendTask("lab", { peerId });
      await handle.wait({ timeoutMs: TASK_TIMEOUT_MS });
      firstTaskMs = performance.now() - startMs;
    } catch (error) {
      if (Deno.env.get("LAB_VERBOSE")) console.error(`${from} -> ${to}:`, error);
    }
    return {
      delivered: { delivered: firstTaskMs !== undefined, firstTaskMs },
      end: this.#watchPath(node, { peerId, startMs, directTimeoutMs }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #watchPath(
    node: Node,
    { peerId, startMs, directTimeoutMs }: { peerId: string; startMs: number; directTimeoutMs: number },
  ): Promise<PathFound> {
    const watchedMs = performance.now();
    while (true) {
      const peer = (await node.listPeers()).find((one) => one.peerId === peerId);
      const sinceMs = performance.now() - startMs;
      const isDirect = peer?.connection === "direct";
      if (isDirect || performance.now() - watchedMs > directTimeoutMs) {
        const { nat, natMapping } = await node.info();
        return {
          path: isDirect ? "direct" : peer === undefined ? "none" : "relayed",
          transport: peer?.transport ?? "",
          directMs: isDirect ? sinceMs : undefined,
          obstacle: peer?.directObstacle,
          verdict: `${nat} ${natMapping}`,
        };
      }
      await systemClock.sleep(sinceMs < SOON_MS ? LOOK_MS : LOOK_LATER_MS);
    }
  }

  /** Both relays have to have a place for the node, else a cell would measure its start. */
  async #untilReachable(node: Node): Promise<void> {
    for (;;) {
      const { relays = [] } = await node.info();
      if (relays.filter(({ state }) => state === "reserved").length === this.relays.length) return;
      await systemClock.sleep(LOOK_MS);
    }
  }

  async #start(kind: NatKind, verb: "daemon" | "demo"): Promise<Agent> {
    const host = await this.lab.addHost(kind);
    const set = this.transports;
    const relays = this.relays.flatMap(({ addresses }) => [
      "--relay",
      relayAddressFor({ set, kind }, addresses),
    ]);
    const home = this.#home(kind, verb);
    const options = ["--home", home, "--enable-mdns=false", "--log-level=debug"];
    const command = [...PROGRAM, verb, ...options, ...daemonArguments(set), ...relays];
    const program = this.#stack.use(new RunningProgram(host.command(command)));
    const peerId = await program.value("PEER_ID");
    return { host, peerId, program };
  }

  async #attach(kind: NatKind, verb: string): Promise<Node> {
    const node = new Node({ daemonAddr: this.#addressOf(kind, verb) });
    await node.start();
    return node;
  }

  #addressOf(kind: NatKind, verb: string): string {
    return `unix://${join(this.#home(kind, verb), "daemon.sock")}`;
  }

  #home(kind: NatKind, verb: string): string {
    return join(this.folder, `${kind}-${verb}`);
  }

  #once<T>(map: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
    const found = map.get(key) ?? make();
    map.set(key, found);
    return found;
  }
}
