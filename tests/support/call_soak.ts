/**
 * Treats the `CallService` of a server the way hostile and clumsy clients do, for as many seconds as the argument says: calls
 * cancelled at every stage, streams of calls cut, connections lost under them. Server and client are processes of their own and
 * run with `MALLOC_PERTURB_`, which makes the use of freed native memory fatal instead of a matter of luck.
 *
 *     deno run -A tests/support/call_soak.ts 60
 *
 * Ends with one line of JSON, and with exit code 1 when a process died, an answer was not that of its call, or the server kept
 * calls of clients that are gone.
 */
import process from "node:process";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { createCallService } from "../../rpc/call_service.ts";
import { createRpcService } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createCallClient } from "../../rpc/call_client.ts";
import type { RpcClient } from "../../rpc/rpc_client.ts";

const LOOPS = 32;
/** Attacks between two cuts of the connection that all loops share. */
const CUT_EVERY = 200;
const PROBE_TIMEOUT_MS = 30_000;
const { getTask, subscribeTaskUpdates } = NodeService.method;

export interface CallSoakResult {
  readonly calls: number;
  /** What went wrong; empty when all is well. */
  readonly failures: readonly string[];
}

/** Runs the whole thing. */
export async function soakCalls(seconds: number): Promise<CallSoakResult> {
  const server = startSelf(["server"]);
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const address = (await lines.read()).value?.trim() ?? "";
  const failures: string[] = [];
  const { success, code, signal, stdout } = await startSelf(["client", address, String(seconds)]).output();
  if (!success) failures.push(`the client ended with ${signal ?? code}`);
  const calls = Number(new TextDecoder().decode(stdout)) || 0;
  if (calls === 0) failures.push("no call was made");
  try {
    server.kill("SIGTERM");
  } catch {
    // It is gone already, which the status below tells.
  }
  const status = await server.status;
  if (!status.success) failures.push(`the server ended with ${status.signal ?? status.code}`);
  await lines.cancel();
  return { calls, failures };
}

function startSelf(args: string[]): Deno.ChildProcess {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", config, new URL(import.meta.url).pathname, ...args],
    env: { MALLOC_PERTURB_: "165" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function serve(): Promise<void> {
  const open = new Set<AbortSignal>();
  const untilAbort = async (signal: AbortSignal) => {
    open.add(signal);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    open.delete(signal);
  };
  const service = createRpcService(NodeService, {
    getTask: async ({ taskId }, { signal }) => {
      if (taskId === "open") return { task: { taskId: String(open.size) } };
      if (taskId === "slow") await untilAbort(signal);
      else if (taskId.endsWith("0")) await new Promise((resolve) => setImmediate(resolve));
      return { task: { taskId } };
    },
    async *subscribeTaskUpdates({ taskId }, { signal }) {
      const text = { case: "textPart" as const, value: { text: "x".repeat(10_000) } };
      while (!signal.aborted) yield { taskId, message: { parts: [{ content: text }] } };
    },
  });
  const services = [service, createCallService({ services: [service], logger: silentLogger })];
  const server = await startGrpcServer({ services, logger: silentLogger }, { listen: "127.0.0.1:0" });
  console.log(server.address);
  await new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
  await server[Symbol.asyncDispose]();
}

async function attack(address: string, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  let calls = 0;
  let client = createCallClient(address);
  const loop = async (index: number) => {
    for (let turn = index; performance.now() < end; turn += 7) {
      await ATTACKS[turn % ATTACKS.length]?.(client, turn).catch(check);
      if (++calls % CUT_EVERY !== 0) continue;
      client[Symbol.dispose](); // under the calls of all the others
      client = createCallClient(address);
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, (_, index) => loop(index)));
  client[Symbol.dispose]();
  await checkNothingOpen(address);
  console.log(calls);
}

/** To fail is the point of most attacks, but with a code. */
function check(error: unknown): void {
  if (!(error instanceof CodedError) || error.code === "internal") throw error;
}

async function checkNothingOpen(address: string): Promise<void> {
  using client = createCallClient(address);
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  while ((await client.unary(getTask, { taskId: "open" }, { signal })).task?.taskId !== "0");
}

const ATTACKS: readonly ((client: RpcClient, turn: number) => Promise<unknown>)[] = [
  // Ordinary calls, some of which are answered later than those after them.
  async (client, turn) => {
    const ids = Array.from({ length: 20 }, (_, index) => `${turn}-${index}`);
    const answers = await Promise.all(ids.map((taskId) => client.unary(getTask, { taskId })));
    if (answers.some(({ task }, index) => task?.taskId !== ids[index])) {
      throw new Error("An answer is not that of its call");
    }
  },
  // Cancelled after a varying number of turns of the event loop.
  async (client, turn) => {
    const controller = new AbortController();
    const call = client.unary(getTask, { taskId: "slow" }, { signal: controller.signal });
    setTimeout(() => controller.abort(), turn % 3);
    await call;
  },
  // Cancelled before it was sent.
  async (client) => {
    const controller = new AbortController();
    const call = client.unary(getTask, { taskId: "slow" }, { signal: controller.signal });
    controller.abort();
    await call;
  },
  // Left while the server is sending.
  async (client, turn) => {
    let left = turn % 23;
    for await (const _ of client.stream(subscribeTaskUpdates, { taskId: `${turn}` })) if (left-- <= 0) break;
  },
  // The deadline passes.
  (client, turn) => client.unary(getTask, { taskId: "slow" }, { timeoutMs: 1 + turn % 3 }),
];

if (import.meta.main) {
  const [mode = "10", address = "", seconds = ""] = Deno.args;
  if (mode === "server") await serve();
  else if (mode === "client") await attack(address, Number(seconds));
  else {
    const result = await soakCalls(Number(mode));
    console.log(JSON.stringify(result));
    process.exitCode = result.failures.length === 0 ? 0 : 1;
  }
}
