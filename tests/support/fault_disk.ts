/**
 * What a daemon does on a full disk, to be run where `DISK` is a small file system of its own:
 * `deno run -A fault_disk.ts DISK HOME`. Prints one line of JSON, a {@link FullDiskReport}.
 */
import { join } from "node:path";
import { CodedError } from "../../core/errors.ts";
import { TaskDirection } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { PATIENCE_MS } from "./patience.ts";
import { startTestDaemon, type TestDaemon } from "./test_daemon.ts";

export interface FullDiskReport {
  /** How the first task was refused. */
  readonly refusal: { readonly code: string; readonly message: string };
  /** Tasks accepted before and on the full disk, and how many of them the daemon still gives: there, and after a restart. */
  readonly accepted: number;
  readonly kept: number;
  readonly keptAfterRestart: number;
  /** Whether the daemon took a task again once there was room. */
  readonly recovered: boolean;
  /** Whether a task that a peer sent to the full node arrived once there was room. */
  readonly received: boolean;
  /** Tasks the daemon has though it has refused them. */
  readonly invented: number;
}

const MESSAGE_BYTES = 40_000;
const MAX_TASKS = 1_000;
const PAUSE_MS = 100;
const { sendTask, getTask, connectPeer } = NodeService.method;

async function send(from: TestDaemon, to: TestDaemon, taskId: string): Promise<void> {
  const parts = [{ content: { case: "textPart" as const, value: { text: "x".repeat(MESSAGE_BYTES) } } }];
  const target = { case: "peerId" as const, value: to.daemon.peerId };
  await from.rpc.unary(sendTask, { target, taskId, message: { parts } }, { timeoutMs: PATIENCE_MS });
}

async function has(node: TestDaemon, taskId: string): Promise<boolean> {
  try {
    return (await node.rpc.unary(getTask, { taskId }, { timeoutMs: PATIENCE_MS })).task?.taskId === taskId;
  } catch (error) {
    if (error instanceof CodedError && error.code === "not_found") return false;
    throw error;
  }
}

async function count(node: TestDaemon, taskIds: readonly string[]): Promise<number> {
  let found = 0;
  for (const taskId of taskIds) if (await has(node, taskId)) found++;
  return found;
}

/** Tries until it works or the time is up. */
async function eventually(work: () => Promise<boolean>): Promise<boolean> {
  for (const endMs = Date.now() + PATIENCE_MS; Date.now() < endMs;) {
    if (await work().catch(() => false)) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

/** Takes all the room there is. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true });
  for (let bytes = 1 << 16; bytes >= 1; bytes >>= 1) {
    const block = new Uint8Array(bytes);
    try {
      for (;;) await file.write(block);
    } catch {
      // Not even a block of this size fits any more.
    }
  }
}

/** Sends until a task is refused. */
async function sendUntilRefused(from: TestDaemon, to: TestDaemon, accepted: string[]) {
  for (let i = 0; i < MAX_TASKS; i++) {
    const taskId = crypto.randomUUID();
    try {
      await send(from, to, taskId);
      accepted.push(taskId);
    } catch (error) {
      const code = error instanceof CodedError ? error.code : "none";
      return { taskId, refusal: { code, message: error instanceof Error ? error.message : String(error) } };
    }
  }
  throw new Error(`The disk is full, and ${MAX_TASKS} tasks were accepted`);
}

async function report(disk: string, home: string): Promise<FullDiskReport> {
  await using stack = new AsyncDisposableStack();
  const flags = { "store-path": join(disk, "data") };
  let full = await startTestDaemon({ home, flags });
  stack.defer(() => full[Symbol.asyncDispose]());
  const peer = stack.use(await startTestDaemon());
  const meet = async () => {
    await full.rpc.unary(connectPeer, { peerId: peer.daemon.peerId, addresses: peer.daemon.addresses() });
  };
  await meet();
  const accepted = [crypto.randomUUID()];
  await send(full, peer, accepted[0] ?? "");
  const ballast = join(disk, "ballast");
  await fill(ballast);
  const { refusal, taskId: refused } = await sendUntilRefused(full, peer, accepted);
  const incoming = crypto.randomUUID();
  await send(peer, full, incoming);
  const kept = await count(full, accepted);
  await Deno.remove(ballast);
  const fresh = crypto.randomUUID();
  const recovered = await eventually(async () => {
    await send(full, peer, fresh);
    return true;
  });
  const received = await eventually(() => has(full, incoming));
  await full[Symbol.asyncDispose]();
  full = await startTestDaemon({ home, flags });
  const { tasks } = await full.rpc.unary(AdminService.method.listTasks, {
    pageSize: 1_000,
    direction: TaskDirection.OUTBOUND,
  });
  const known = new Set<string>([...accepted, fresh]);
  return {
    refusal,
    accepted: accepted.length,
    kept,
    keptAfterRestart: await count(full, accepted),
    recovered,
    received,
    invented: tasks.filter(({ taskId }) => taskId === refused || !known.has(taskId)).length,
  };
}

const [disk = "", home = ""] = Deno.args;
console.log(JSON.stringify(await report(disk, home)));
Deno.exit(0);
