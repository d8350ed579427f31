/**
 * What a unary gRPC call costs between two processes: as a call of its own, and over one stream of the `CallService`. In turns,
 * so that a busy machine slows both alike.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { silentLogger } from "../core/log.ts";
import { createCallService } from "../rpc/call_service.ts";
import { createRpcService } from "../rpc/rpc_service.ts";
import { startGrpcServer } from "../rpc/server.ts";
import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import { createCallClient } from "../rpc/call_client.ts";
import { createRpcClient, type RpcClient } from "../rpc/rpc_client.ts";
import { parsePositive, runBench, UsageError } from "./arguments.ts";
import { cpuMs } from "./processes.ts";
import { makeHome, startHelper } from "./programs.ts";
import { type Figures, median, medianFigures, runSlots, toFigures } from "./slots.ts";
import { toDigits, toTable } from "./table.ts";

const ROUNDS = 5;
const IN_FLIGHT = [1, 16, 64];
const WARM_UP_MS = 500;
const TEXT = "x".repeat(400);
const TIMEOUT_MS = 60_000;
const USAGE = `Usage: deno run -A bench/grpc_calls.ts [options]

Measures SendTask with ${TEXT.length} bytes of text against a server in another process that answers at once, on a Unix socket.
Calls per second, p50 and p99 in milliseconds, and the CPU time of both processes together for each call, with
${
  IN_FLIGHT.join(", ")
} in flight. Figures are medians over ${ROUNDS} rounds in which the contenders take turns.

  --seconds N      seconds of measuring per contender and number in flight (default 4)
  --json           print JSON instead of a table
  --help           print this`;

interface Contender {
  readonly name: string;
  readonly client: RpcClient;
}

interface Result extends Figures {
  readonly contender: string;
  readonly inFlight: number;
  readonly cpuUsPerCall: number;
}

interface Round {
  readonly figures: Figures;
  readonly cpuUsPerCall: number;
}

async function serve(): Promise<void> {
  await using home = await makeHome();
  const service = createRpcService(NodeService, {
    sendTask: ({ taskId, message }) => ({
      task: { taskId, messages: message === undefined ? [] : [message] },
    }),
  });
  const services = [service, createCallService({ services: [service], logger: silentLogger })];
  await using server = await startGrpcServer(
    { services, logger: silentLogger },
    { listen: `unix://${home.path}/calls.sock` },
  );
  console.log(`READY=${server.address}`);
  await new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
}

async function call(client: RpcClient): Promise<void> {
  const content = { case: "textPart" as const, value: { text: TEXT } };
  const request = { taskId: "task", message: { parts: [{ content }] } };
  const { task } = await client.unary(NodeService.method.sendTask, request, { timeoutMs: TIMEOUT_MS });
  if (task?.messages.length !== 1) throw new Error("The server gave a wrong answer");
}

async function measureOnce(
  { client }: Contender,
  { inFlight, durationMs, pids }: { inFlight: number; durationMs: number; pids: readonly number[] },
): Promise<Round> {
  const startMs = await cpuMs(pids);
  const stretch = await runSlots(() => call(client), { inFlight, durationMs });
  const usedMs = await cpuMs(pids) - startMs;
  return { figures: toFigures(stretch), cpuUsPerCall: usedMs * 1000 / stretch.latenciesMs.length };
}

async function measure(
  contenders: readonly Contender[],
  options: { seconds: number; pids: readonly number[] },
) {
  const results: Result[] = [];
  for (const inFlight of IN_FLIGHT) {
    const rounds = contenders.map((): Round[] => []);
    for (const contender of contenders) {
      await runSlots(() => call(contender.client), { inFlight, durationMs: WARM_UP_MS });
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, contender] of contenders.entries()) {
        const durationMs = options.seconds * 1000 / ROUNDS;
        rounds[index]?.push(await measureOnce(contender, { inFlight, durationMs, pids: options.pids }));
      }
    }
    for (const [index, { name }] of contenders.entries()) {
      results.push({
        contender: name,
        inFlight,
        ...medianFigures((rounds[index] ?? []).map(({ figures }) => figures)),
        cpuUsPerCall: median((rounds[index] ?? []).map(({ cpuUsPerCall }) => cpuUsPerCall)),
      });
    }
  }
  return results;
}

function toText(results: readonly Result[]): string {
  return toTable([
    ["calls", "in flight", "calls/s", "p50 ms", "p99 ms", "CPU us/call"],
    ...results.map(({ contender, inFlight, perSecond, p50Ms, p99Ms, cpuUsPerCall }) => [
      contender,
      String(inFlight),
      toDigits(perSecond),
      toDigits(p50Ms),
      toDigits(p99Ms),
      toDigits(cpuUsPerCall),
    ]),
  ]);
}

async function main(): Promise<void> {
  const { values } = readArguments();
  if (values.serve) return await serve();
  if (values.help) return console.log(USAGE);
  const seconds = parsePositive("--seconds", values.seconds);
  await using server = await startHelper("grpc_calls.ts", ["--serve"]);
  using plain = createRpcClient(server.ready);
  using stream = createCallClient(server.ready);
  const contenders = [{ name: "plain", client: plain }, { name: "stream", client: stream }];
  const results = await measure(contenders, { seconds, pids: [server.pid, Deno.pid] });
  console.log(values.json ? JSON.stringify(results, null, 2) : toText(results));
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        seconds: { type: "string", default: "4" },
        json: { type: "boolean", default: false },
        serve: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

if (import.meta.main) await runBench(main);
