import { join } from "node:path";
import { systemClock } from "../core/clock.ts";
import { type IncomingTask, Node } from "../sdk/mod.ts";
import { RunningProgram } from "../tests/support/program.ts";
import { tempDir } from "../tests/support/temp_dir.ts";
import { type Lab, type LabHost, type NatKind, startLab } from "../tests/nat/lab.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");
const PROGRAM = [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")];
/** A task that has not come back after this time counts as not delivered. */
const TASK_TIMEOUT_MS = 20_000;
const LOOK_MS = 50;

/** What two hosts reached. Times are milliseconds from the call that sent the first task. */
export interface Cell {
  from: NatKind;
  to: NatKind;
  delivered: boolean;
  /** Until the first task was back; undefined when it was not. */
  firstTaskMs: number | undefined;
  /** How the connection ended up. */
  path: "direct" | "relayed" | "none";
  transport: string;
  /** Until the connection was direct. */
  directMs: number | undefined;
  /** What the sender found out about its own NAT. */
  verdict: string;
}

/** What is run. */
export interface MatrixOptions {
  pairs: readonly (readonly [NatKind, NatKind])[];
  /** How long to wait for a direct connection, in milliseconds. */
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
  await using lab = await startLab();
  await using dir = await tempDir();
  await using bench = await Bench.start(lab, options.folder ?? dir.path);
  const cells: Cell[] = [];
  for (const [from, to] of options.pairs) {
    const cell = await bench.meet(from, to, options.directTimeoutMs);
    options.onCell?.(cell);
    cells.push(cell);
  }
  return cells;
}

interface Agent {
  host: LabHost;
  peerId: string;
  program: RunningProgram;
}

/** A relay that can be killed and started again: its key, port and address stay. */
export class Relay implements AsyncDisposable {
  /** Multiaddr over TCP, once it was started. */
  address = "";
  #program: RunningProgram | undefined;

  constructor(readonly host: LabHost, readonly folder: string, readonly number: number) {}

  async start(): Promise<void> {
    const home = join(this.folder, `relay-${this.number}`);
    this.#program = new RunningProgram(this.host.command([...PROGRAM, "relay", "--home", home]));
    await this.#program.value("API_ADDR");
    const addresses = this.#program.lines.flatMap((line) =>
      /^RELAY_ADDR=(\/ip4\/5\.5\..*\/tcp\/.*)$/.exec(line)?.[1] ?? []
    );
    this.address = addresses[0] ?? "";
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

  private constructor(readonly lab: Lab, readonly folder: string, readonly relays: readonly Relay[]) {}

  /** Starts `count` relays, two unless said otherwise. */
  static async start(lab: Lab, folder: string, { count = 2 } = {}): Promise<Bench> {
    const relays: Relay[] = [];
    for (let number = 1; number <= count; number++) {
      relays.push(new Relay(await lab.addHost("open"), folder, number));
    }
    const bench = new Bench(lab, folder, relays);
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
      await this.#start(kind, "daemon");
      const node = this.#stack.use(await this.#attach(kind, "daemon"));
      await this.#untilReachable(node);
      return node;
    });
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

  /** Has a pair meet; see {@link Cell}. */
  async meet(from: NatKind, to: NatKind, directTimeoutMs: number): Promise<Cell> {
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
    const end = await this.#watchPath(node, { peerId, startMs, directTimeoutMs });
    const { nat, natMapping } = await node.info();
    const verdict = `${nat} ${natMapping}`;
    return { from, to, delivered: firstTaskMs !== undefined, firstTaskMs, ...end, verdict };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #watchPath(
    node: Node,
    { peerId, startMs, directTimeoutMs }: { peerId: string; startMs: number; directTimeoutMs: number },
  ): Promise<Pick<Cell, "path" | "transport" | "directMs">> {
    while (true) {
      const peer = (await node.listPeers()).find((one) => one.peerId === peerId);
      const address = peer?.addresses[0] ?? "";
      const transport = address.includes("/quic-v1") ? "quic" : address.includes("/tcp/") ? "tcp" : "";
      const sinceMs = performance.now() - startMs;
      if (peer?.connection === "direct") return { path: "direct", transport, directMs: sinceMs };
      if (sinceMs > directTimeoutMs) {
        return { path: peer === undefined ? "none" : "relayed", transport, directMs: undefined };
      }
      await systemClock.sleep(LOOK_MS);
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
    const relays = this.relays.flatMap(({ address }) => ["--relay", address]);
    const home = this.#home(kind, verb);
    const command = [...PROGRAM, verb, "--home", home, "--enable-mdns=false", "--log-level=debug", ...relays];
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
