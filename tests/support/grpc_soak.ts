/**
 * Treats a gRPC server the way hostile and clumsy clients do, for as many seconds as the argument says: calls cancelled at
 * every stage, messages over the limit, connections cut in the middle of everything. Server and clients are processes of their
 * own and run with `MALLOC_PERTURB_`, which makes the use of freed native memory fatal instead of a matter of luck.
 *
 *     deno run -A tests/support/grpc_soak.ts 60
 *
 * Ends with one line of JSON, and with exit code 1 when a process died, memory kept growing or the server stopped answering.
 */
import process from "node:process";
import { silentLogger } from "../../core/log.ts";
import { createRpcService } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";

const CLIENTS = 2;
const LOOPS = 8;
/** Attacks between two cuts of a connection. */
const CUT_EVERY = 11;
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** What the server may hold more at the end than after its first third: buffers vary, a leak of a few KiB a call does not fit. */
const RSS_SLACK_MIB = 128;
const { getTask, sendTask, subscribeTaskUpdates } = NodeService.method;

export interface SoakResult {
  readonly calls: number;
  readonly rssMiB: readonly [warm: number, end: number];
  /** What went wrong; empty when all is well. */
  readonly failures: readonly string[];
}

/** Runs the whole thing. */
export async function soak(seconds: number): Promise<SoakResult> {
  const server = startSelf(["server"]);
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const address = (await lines.read()).value?.trim() ?? "";
  const clients = Array.from({ length: CLIENTS }, () => startSelf(["client", address, String(seconds)]));
  const warm = new Promise<number>((resolve) =>
    setTimeout(() => resolve(rssMiBOf(server.pid)), seconds * 333)
  );
  const failures: string[] = [];
  let calls = 0;
  for (const output of await Promise.all(clients.map((client) => client.output()))) {
    if (!output.success) failures.push(`a client ended with ${output.signal ?? output.code}`);
    calls += Number(new TextDecoder().decode(output.stdout)) || 0;
  }
  if (calls === 0) failures.push("no call was made");
  const client = createRpcClient(address);
  await client.unary(getTask, { taskId: "fast" }, { timeoutMs: 30_000 }).catch((error) =>
    failures.push(`the server does not answer any more: ${error.message}`)
  );
  client[Symbol.dispose]();
  const rssMiB = [await warm, rssMiBOf(server.pid)] as const;
  if (!(rssMiB[1] <= rssMiB[0] + RSS_SLACK_MIB)) {
    failures.push(`memory grew from ${rssMiB[0]} to ${rssMiB[1]} MiB`);
  }
  try {
    server.kill("SIGTERM");
  } catch {
    // It is gone already, which the status below tells.
  }
  const status = await server.status;
  if (!status.success) failures.push(`the server ended with ${status.signal ?? status.code}`);
  await lines.cancel();
  return { calls, rssMiB, failures };
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

/** NaN when the process is gone. */
function rssMiBOf(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  } catch {
    return NaN;
  }
}

async function serve(): Promise<void> {
  const service = createRpcService(NodeService, {
    getTask: async ({ taskId }, { signal }) => {
      if (taskId === "slow") {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      }
      return { task: { taskId } };
    },
    sendTask: ({ message }) => ({ task: { messages: message === undefined ? [] : [message] } }),
    async *subscribeTaskUpdates({ taskId }, { signal }) {
      const message = {
        parts: [{ content: { case: "textPart" as const, value: { text: "x".repeat(10_000) } } }],
      };
      while (!signal.aborted) yield { taskId, message };
    },
  });
  const server = await startGrpcServer(
    { services: [service], logger: silentLogger },
    { listen: "127.0.0.1:0", maxMessageBytes: MAX_MESSAGE_BYTES },
  );
  console.log(server.address);
  await new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
  await server[Symbol.asyncDispose]();
}

async function attack(address: string, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  let calls = 0;
  const loop = async (turn: number) => {
    let client = createRpcClient(address);
    for (; performance.now() < end; turn++, calls++) {
      await ATTACKS[turn % ATTACKS.length]?.(client, turn).catch(() => {}); // to fail is the point
      if (turn % CUT_EVERY !== 0) continue;
      await cut(client);
      client = createRpcClient(address);
    }
    client[Symbol.dispose]();
  };
  await Promise.all(Array.from({ length: LOOPS }, (_, index) => loop(index)));
  console.log(calls);
}

/** Cuts the connection under open calls. */
async function cut(client: RpcClient): Promise<void> {
  const stream = client.stream(subscribeTaskUpdates, {})[Symbol.asyncIterator]();
  const calls = [
    client.unary(getTask, { taskId: "slow" }),
    client.unary(sendTask, payload(MAX_MESSAGE_BYTES / 2)),
    stream.next().then(() => client[Symbol.dispose]()),
  ];
  await Promise.allSettled(calls);
  client[Symbol.dispose]();
  await stream.return?.();
}

const payload = (bytes: number) => ({
  message: { parts: [{ content: { case: "rawPart" as const, value: { data: new Uint8Array(bytes) } } }] },
});

const ATTACKS: readonly ((client: RpcClient, turn: number) => Promise<unknown>)[] = [
  // An ordinary call among the others.
  (client) => client.unary(getTask, { taskId: "fast" }),
  // Cancelled after a varying number of turns of the event loop.
  async (client, turn) => {
    const controller = new AbortController();
    const call = client.unary(getTask, { taskId: "slow" }, { signal: controller.signal });
    for (let i = 0; i < turn % 5; i++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await call;
  },
  // More than the server takes.
  (client) => client.unary(sendTask, payload(2 * MAX_MESSAGE_BYTES)),
  // Left while the server is sending.
  async (client, turn) => {
    let left = turn % 7;
    for await (const _ of client.stream(subscribeTaskUpdates, {})) if (left-- <= 0) break;
  },
  // The deadline passes.
  (client, turn) => client.unary(getTask, { taskId: "slow" }, { timeoutMs: 1 + turn % 3 }),
];

if (import.meta.main) {
  const [mode = "10", address = "", seconds = ""] = Deno.args;
  if (mode === "server") await serve();
  else if (mode === "client") await attack(address, Number(seconds));
  else {
    const result = await soak(Number(mode));
    console.log(JSON.stringify(result));
    process.exitCode = result.failures.length === 0 ? 0 : 1;
  }
}
