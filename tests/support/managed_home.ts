import { join } from "node:path";
import process from "node:process";
import { Node, type NodeOptions, type NodeStatus } from "../../sdk/mod.ts";
import { freePort } from "./free_port.ts";
import { Changes, PROGRAM_MS, untilHolds } from "./patience.ts";
import { tempDir } from "./temp_dir.ts";

/** A home on loopback whose nodes start daemons of this checkout, each a process of its own. */
export interface ManagedHome extends AsyncDisposable {
  readonly path: string;
  /** At which each daemon of the home can be dialed, without its peer id. */
  readonly listen: string;
  /** A node of this home that is not started, and what it told. It is stopped with the home. */
  node(options?: NodeOptions): ManagedNode;
}

export type ManagedNode = Node & {
  readonly told: NodeStatus[];
  /** Comes back when this was told `times` times in all. */
  until(state: NodeStatus["state"], times?: number): Promise<void>;
};

export async function managedHome(): Promise<ManagedHome> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const listen = `/ip4/127.0.0.1/tcp/${freePort()}`; // the same after a restart, or nobody would find it
  await Deno.writeTextFile(join(path, "config.toml"), `listen_addrs = ["${listen}"]\nenable_mdns = false\n`);
  const nodes: ManagedNode[] = [];
  const pids = new Set<number>();
  // A daemon that its starter has left to others stops by itself, some time after the last of them.
  stack.defer(() => untilHolds(() => ![...pids].some(isAlive)));
  const owned = stack.move();
  return {
    path,
    listen,
    node: (options) => {
      const node = owned.use(managedNode({ home: path, ...options }));
      nodes.push(node);
      return node;
    },
    [Symbol.asyncDispose]: async () => {
      const infos = await Promise.allSettled(nodes.map((node) => node.info({ timeoutMs: 2_000 })));
      for (const { value } of infos.filter((one) => one.status === "fulfilled")) {
        if (value.pid !== undefined) pids.add(value.pid);
      }
      await owned.disposeAsync();
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // there is no such process
  }
}

function managedNode(options: NodeOptions): ManagedNode {
  const told: NodeStatus[] = [];
  const changes = new Changes();
  const node = new Node({
    reconnectMs: PROGRAM_MS,
    ...options,
    onStatus: (status) => {
      told.push(status);
      changes.tell();
    },
  });
  const until = (state: NodeStatus["state"], times = 1) =>
    changes.until(
      () => told.filter((one) => one.state === state).length >= times,
      `status ${state}`,
      PROGRAM_MS,
    );
  return Object.assign(node, { told, until });
}

/** The process of the node's daemon. */
export async function daemonPid(node: Node): Promise<number> {
  const { pid } = await node.info();
  if (pid === undefined) throw new Error("The daemon does not tell its pid");
  return pid;
}
