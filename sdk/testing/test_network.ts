import { errorMessage } from "../../core/errors.ts";
import { createIdentity } from "../../identity/mod.ts";
import type { MemoryDisk, MemoryNetwork } from "../embedded.ts";
import { AgentAnycastError } from "../errors.ts";
import { Node } from "../node.ts";
import type { NodeOptions } from "../node_options.ts";
import { withParts } from "../node_parts.ts";
import { FakeClock } from "./fake_clock.ts";

/** Turns of the event loop without any event after which nothing is under way any more. */
const QUIET_TURNS = 10;
const MAX_TURNS = 20_000;

/** How a network begins. */
export interface TestNetworkOptions {
  /** What its clock shows at first. Default 2026-01-01T00:00:00Z. */
  startAt?: Date;
  /** Turns of the event loop in which something may happen before `settle()` and `advance()` give up. Default 20,000. */
  maxTurns?: number;
}

/** How a node of a {@link TestNetwork} is made: what {@link NodeOptions} has that makes sense in memory, and its configuration. */
export interface TestNodeOptions extends
  Pick<
    NodeOptions,
    "card" | "exclusive" | "graceMs" | "logLevel" | "maxClaims" | "onLog" | "onStatus" | "signal"
  > {
  /** Its configuration as text of a `config.toml`, for policies and times. Default: none. */
  config?: string;
}

/** Options of a fault on the way from one node to another. */
export interface WayOptions {
  /** The node that sends. */
  from: Node;
  /** The node that shall receive. */
  to: Node;
}

/**
 * Nodes in one process with a network, a store and a clock in memory: no sockets, no files, no daemon. The engine is the real one,
 * and so are its promises. All nodes find each other as on one local network; nothing is lost or late unless the test says so, and
 * time stands still unless the test moves it.
 *
 * ```ts
 * await using net = await createTestNetwork();
 * const echo = await net.node({ card: { name: "Echo", skills: [{ id: "echo" }] } });
 * echo.onTask((task) => task.complete(`Echo: ${task.text}`));
 * const client = await net.node();
 * const task = await (await client.sendTask("hi", { skill: "echo" })).wait();
 * ```
 */
export interface TestNetwork extends AsyncDisposable {
  /** Adds a node and starts it; it has found all others when this resolves. It is stopped with the network. */
  node(options?: TestNodeOptions): Promise<Node>;
  /** The time of the network. */
  readonly now: Date;
  /**
   * Lets `ms` pass for all nodes: deadlines, retries, leases and time limits come due one after the other, each with all that
   * follows from it. Resolves when nothing is under way any more; throws as `settle` does.
   */
  advance(ms: number): Promise<void>;
  /**
   * Resolves when nothing is under way any more, without time passing. What handlers wait for elsewhere is not waited for. Throws
   * `resource_exhausted` when it does not end, as with agents that answer each other for ever.
   */
  settle(): Promise<void>;
  /** Cuts the link between two nodes, with what is on its way. */
  cut(a: Node, b: Node): void;
  /** Mends the link between two nodes, which find each other at once. */
  heal(a: Node, b: Node): void;
  /** Lets everything from one node to another arrive `ms` later, from now on; 0 ends that. */
  delay(ms: number, way: WayOptions): void;
  /**
   * Loses the next `count` messages from one node to another. As streams lose nothing but what a broken connection had under way,
   * each takes its connection with it; the nodes find each other again a second later.
   */
  drop(count: number, way: WayOptions): void;
  /** Takes a node off the network; it goes on by itself. */
  offline(node: Node): void;
  /** Puts a node back on the network. */
  online(node: Node): void;
  /**
   * Kills a node as `kill -9` does: nothing is told to anybody, and nothing it does from then on is kept. What it had committed is
   * there when it is started again with `node.start()`, with the handlers it had.
   */
  crash(node: Node): Promise<void>;
}

/** Makes an empty {@link TestNetwork}. Throws `unimplemented` elsewhere than on Deno. */
export async function createTestNetwork(options: TestNetworkOptions = {}): Promise<TestNetwork> {
  if (!("Deno" in globalThis)) {
    throw new AgentAnycastError("unimplemented", "Test networks run on Deno only, since the engine does");
  }
  const engine = await import("../embedded.ts");
  const { maxTurns = MAX_TURNS } = options;
  if (!(maxTurns >= 1)) throw new RangeError(`maxTurns must be at least 1, got ${maxTurns}`);
  const clock = new FakeClock((options.startAt ?? new Date("2026-01-01T00:00:00Z")).getTime());
  const network = new engine.MemoryNetwork(clock);
  return new MemoryTestNetwork({ clock, network, maxTurns, createDisk: () => new engine.MemoryDisk() });
}

interface TestNetworkParts {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly maxTurns: number;
  readonly createDisk: () => MemoryDisk;
}

/** What the network knows of a node, also while it is stopped. */
interface Known {
  readonly peerId: string;
  readonly disk: MemoryDisk;
}

class MemoryTestNetwork implements TestNetwork {
  readonly #parts: TestNetworkParts;
  readonly #nodes = new Map<Node, Known>();

  constructor(parts: TestNetworkParts) {
    this.#parts = parts;
  }

  get now(): Date {
    return new Date(this.#parts.clock.now());
  }

  async node({ config, ...options }: TestNodeOptions = {}): Promise<Node> {
    const { clock, network, createDisk } = this.#parts;
    const identity = createIdentity(seedOf(this.#nodes.size + 1));
    const { peerId } = identity;
    const disk = createDisk();
    disk.onCommit = () => network.activity++;
    const node = new Node(withParts({ ...options, mode: "embedded", home: `/memory/${peerId}` }, {
      clock,
      identity,
      toml: config,
      openStore: () => disk.openStore(),
      openSpool: () => disk.openSpool(),
      openHost: (deps) => network.open({ ...deps, peerId }),
    }));
    this.#nodes.set(node, { peerId, disk });
    await node.start();
    await this.settle();
    return node;
  }

  async advance(ms: number): Promise<void> {
    if (!Number.isSafeInteger(ms) || ms < 0) {
      throw new RangeError(`ms must be a whole number from 0, got ${ms}`);
    }
    const { clock } = this.#parts;
    const endMs = clock.now() + ms;
    await this.settle();
    for (let nextMs = clock.nextMs; nextMs !== undefined && nextMs <= endMs; nextMs = clock.nextMs) {
      clock.moveTo(nextMs);
      await this.settle();
    }
    clock.moveTo(endMs);
    await this.settle();
  }

  async settle(): Promise<void> {
    const { network, maxTurns } = this.#parts;
    let seen = network.activity;
    for (let quiet = 0, turns = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (network.activity === seen) continue;
      if (++turns > maxTurns) {
        throw new AgentAnycastError(
          "resource_exhausted",
          `The network has not come to rest in ${maxTurns} turns of the event loop: do its agents answer each other for ever?`,
        );
      }
      quiet = -1;
      seen = network.activity;
    }
  }

  cut(a: Node, b: Node): void {
    this.#parts.network.cut(this.#idOf(a), this.#idOf(b));
  }

  heal(a: Node, b: Node): void {
    this.#parts.network.heal(this.#idOf(a), this.#idOf(b));
  }

  delay(ms: number, { from, to }: WayOptions): void {
    if (!(ms >= 0)) throw new RangeError(`ms must not be negative, got ${ms}`);
    this.#parts.network.delay(this.#idOf(from), this.#idOf(to), ms);
  }

  drop(count: number, { from, to }: WayOptions): void {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RangeError(`count must be a whole number from 0, got ${count}`);
    }
    this.#parts.network.drop(this.#idOf(from), this.#idOf(to), count);
  }

  offline(node: Node): void {
    this.#parts.network.setOnline(this.#idOf(node), false);
  }

  online(node: Node): void {
    this.#parts.network.setOnline(this.#idOf(node), true);
  }

  async crash(node: Node): Promise<void> {
    const { peerId, disk } = this.#known(node);
    disk.crash();
    this.#parts.network.vanish(peerId);
    await node.stop({ graceMs: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stops = [...this.#nodes.keys()].map((node) => node.stop({ graceMs: 0 }));
    const failures = (await Promise.allSettled(stops)).flatMap((stop) =>
      stop.status === "rejected" ? [stop.reason] : []
    );
    this.#parts.network[Symbol.dispose]();
    if (failures.length > 1) throw new AggregateError(failures, failures.map(errorMessage).join("; "));
    if (failures.length === 1) throw failures[0];
  }

  #idOf(node: Node): string {
    return this.#known(node).peerId;
  }

  #known(node: Node): Known {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    throw new AgentAnycastError(
      "invalid_argument",
      "The node is not of this network: make it with net.node()",
    );
  }
}

/** Keys that are the same in each run: the test sees the same peer ids each time. */
function seedOf(number: number): Uint8Array {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, number);
  return seed;
}
