/**
 * How fast a large artifact gets from one agent to another, and what memory that takes, beside a bare libp2p stream and a TCP
 * connection. Everything runs on the loopback interface, in turns.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { parseCount, parsePositive, pickNamed, runBench } from "./arguments.ts";
import { ARTIFACT_STREAMS } from "./artifact_streams.ts";
import { describeMachine } from "./machine.ts";
import { cpuMs, type Resident, watchResident } from "./processes.ts";
import { median } from "./slots.ts";
import { startStreamPrograms, type StreamContender, type StreamContenderEntry } from "./stream_contender.ts";
import { toDigits, toTable } from "./table.ts";

const BASELINE = "libp2p";
const WARM_UP_MIB = 16;
const CONTENDERS: readonly StreamContenderEntry[] = [
  ...ARTIFACT_STREAMS,
  { name: BASELINE, start: () => startStreamPrograms("libp2p_stream.ts") },
  { name: "tcp", start: () => startStreamPrograms("tcp_stream.ts") },
];
const USAGE = `Usage: deno task bench:streaming [options]

Measures one stream of bytes between two processes: MiB per second, the share of what a bare libp2p stream does, CPU
time per MiB, and the resident memory of the processes (largest, and growth over the run). Rates are medians over the
rounds, in which the contenders take turns. CPU and memory on Linux only, all processes of a contender together.

Contenders: ${CONTENDERS.map(({ name }) => name).join(", ")}

  --mib N          size of the stream (default 256)
  --chunk-kib N    size of a chunk handed over (default 256)
  --rounds N       streams per contender (default 3)
  --only A,B       measure these contenders
  --json           print JSON instead of a table
  --help           print this`;

const MIB = 1024 * 1024;

/** What one contender comes to. */
interface Result {
  readonly contender: string;
  readonly mibPerSecond: number;
  /** NaN off Linux, like all below. */
  readonly cpuMsPerMib: number;
  /** Largest resident memory of each process. */
  readonly maxMiB: readonly number[];
  /** By how much the memory of each process rose above what it was after the warm-up. */
  readonly growthMiB: readonly number[];
}

/** A contender and its streams so far. */
interface Measured {
  readonly name: string;
  readonly contender: StreamContender;
  readonly streams: { elapsedMs: number; cpuMs: number; resident: readonly Resident[] }[];
}

async function takeTurn(
  { contender, streams }: Measured,
  options: { totalBytes: number; chunkBytes: number },
): Promise<void> {
  const cpuBeforeMs = await cpuMs(contender.pids);
  let elapsedMs = NaN;
  const resident = await watchResident(contender.pids, async () => {
    const startMs = performance.now();
    await contender.transfer(options);
    elapsedMs = performance.now() - startMs;
  });
  streams.push({ elapsedMs, cpuMs: await cpuMs(contender.pids) - cpuBeforeMs, resident });
}

function toResult({ name, contender, streams }: Measured, { mib }: { mib: number }): Result {
  const ofProcess = (index: number) => streams.flatMap(({ resident }) => resident[index] ?? []);
  const maxMiB = contender.pids.map((_, index) =>
    Math.max(...ofProcess(index).map((process) => process.maxMiB))
  );
  return {
    contender: name,
    mibPerSecond: mib / median(streams.map(({ elapsedMs }) => elapsedMs)) * 1000,
    cpuMsPerMib: median(streams.map((stream) => stream.cpuMs)) / mib,
    maxMiB,
    growthMiB: maxMiB.map((max, index) => max - (ofProcess(index)[0]?.startMiB ?? NaN)),
  };
}

function toRows(results: readonly Result[]): string[][] {
  const baseline = results.find(({ contender }) => contender === BASELINE);
  const known = (value: number) => Number.isNaN(value) ? "" : toDigits(value);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const rows = results.map(({ contender, mibPerSecond, cpuMsPerMib, maxMiB, growthMiB }) => [
    contender,
    toDigits(mibPerSecond),
    baseline === undefined ? "" : `${(mibPerSecond / baseline.mibPerSecond * 100).toFixed(0)} %`,
    known(cpuMsPerMib),
    known(sum(maxMiB)),
    known(sum(growthMiB)),
  ]);
  return [["", "MiB/s", `of ${BASELINE}`, "cpu ms/MiB", "RSS max MiB", "RSS growth MiB"], ...rows];
}

await runBench(async () => {
  const { values } = parseArgs({
    options: {
      mib: { type: "string", default: "256" },
      "chunk-kib": { type: "string", default: "256" },
      rounds: { type: "string", default: "3" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const mib = parsePositive("--mib", values.mib);
  const rounds = parseCount("--rounds", values.rounds);
  const chunkBytes = Math.ceil(parsePositive("--chunk-kib", values["chunk-kib"]) * 1024);
  await using stack = new AsyncDisposableStack();
  const all: Measured[] = [];
  for (const { name, start } of pickNamed(CONTENDERS, values.only)) {
    all.push({ name, contender: stack.use(await start()), streams: [] });
  }
  for (const { contender } of all) await contender.transfer({ totalBytes: WARM_UP_MIB * MIB, chunkBytes });
  for (let round = 0; round < rounds; round++) {
    for (const measured of all) {
      await takeTurn(measured, { totalBytes: Math.round(mib * MIB), chunkBytes });
    }
  }
  const results = all.map((measured) => toResult(measured, { mib }));
  console.log(
    values.json
      ? JSON.stringify({ machine: describeMachine(), mib, chunkBytes, rounds, results }, undefined, 2)
      : toTable(toRows(results)),
  );
});
