/**
 * How the work of a daemon slows down and its memory grows with the tasks it has stored.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Node } from "../sdk/mod.ts";
import { parseCounts, parsePositive, runBench } from "./arguments.ts";
import { describeMachine } from "./machine.ts";
import { residentMiB } from "./processes.ts";
import { FROM_SOURCE, makeHome, startDaemonProgram, startHelper } from "./programs.ts";
import { median, runSlots, toFigures } from "./slots.ts";
import { fillStore, storedTaskId } from "./stored_tasks.ts";
import { toDigits, toTable } from "./table.ts";

const ROUNDS = 5;
const STARTS = 3;
const BUSY_SLOTS = 16;
const PAGE = 100;
/** What a daemon does right after its start is over by then. */
const IDLE_MS = 2_000;
const USAGE = `Usage: deno task bench:storage [options]

Measures daemons whose stores hold ever more completed tasks: the time until a daemon is ready, its memory then and
after the run, round trips SDK to SDK through two daemons with as many tasks, GetTask of any of them, the first page of
${PAGE} of ListTasks, and a listing that fits none of them. Figures are medians over ${ROUNDS} rounds in which the sizes
take turns.

  --tasks A,B      stored tasks (default 0,1000,10000,100000)
  --seconds N      seconds per size and kind of work (default 5)
  --program PATH   measure this executable instead of the source
  --json           print JSON instead of a table
  --help           print this`;

/** Kinds of work, as columns of the table. */
const WORKS = ["roundTrip", "busy", "getTask", "listPage"] as const;
type Work = (typeof WORKS)[number];

/** Two daemons with as many stored tasks, an echo agent at one and a client at the other. */
interface Pair extends AsyncDisposable {
  readonly tasks: number;
  readonly pid: number;
  readonly run: Readonly<Record<Work, () => Promise<void>>>;
  /** A listing with a filter that no stored task fits. */
  listNone(): Promise<void>;
}

/** What one size comes to. Times in milliseconds; memory is NaN off Linux. */
interface Result {
  readonly tasks: number;
  readonly startMs: number;
  readonly startMiB: number;
  readonly roundTripMs: number;
  readonly busyPerSecond: number;
  readonly getTaskMs: number;
  readonly listPageMs: number;
  readonly listNoneMs: number;
  readonly endMiB: number;
}

/** Homes whose stores hold `tasks` tasks, two of each size. */
async function prepareHomes(
  sizes: readonly number[],
  stack: AsyncDisposableStack,
): Promise<{ tasks: number; near: string; far: string }[]> {
  const template = stack.use(await makeHome());
  const homes: { tasks: number; near: string; far: string }[] = [];
  let from = 0;
  for (const to of sizes) {
    await fillStore(`${template.path}/data`, { from, to });
    from = to;
    const [near, far] = [stack.use(await makeHome()).path, stack.use(await makeHome()).path];
    for (const home of [near, far]) await copyFolder(`${template.path}/data`, `${home}/data`);
    homes.push({ tasks: to, near, far });
  }
  return homes;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o700 });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    else await copyFolder(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Starts a daemon on `home` and stops it. */
async function measureStart(
  command: readonly string[],
  home: string,
): Promise<{ startMs: number; startMiB: number }> {
  const beginMs = performance.now();
  await using daemon = await startDaemonProgram(command, { home });
  const startMs = performance.now() - beginMs;
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return { startMs, startMiB: await residentMiB(daemon.pid) };
}

async function startPair(
  command: readonly string[],
  { tasks, near: nearHome, far: farHome }: { tasks: number; near: string; far: string },
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const near = stack.use(await startDaemonProgram(command, { home: nearHome }));
  const far = stack.use(await startDaemonProgram(command, { home: farHome }));
  const { ready: peerId } = stack.use(await startHelper("echo_agent.ts", [far.grpcAddress]));
  const node = stack.use(new Node({ daemonAddr: near.grpcAddress }));
  await node.start();
  await node.connectPeer(far.address);
  let lastTaskId = "";
  const roundTrip = async () => {
    const handle = await node.sendTask("x".repeat(64), { peerId });
    lastTaskId = (await handle.wait()).taskId;
  };
  const owned = stack.move();
  return {
    tasks,
    pid: near.pid,
    run: {
      roundTrip,
      busy: roundTrip,
      async getTask() {
        // Of the newer half: the oldest may be removed meanwhile when there are as many as a daemon keeps.
        const index = Math.floor(tasks * (1 + Math.random()) / 2);
        await node.getTask(tasks === 0 ? lastTaskId : storedTaskId(index));
      },
      async listPage() {
        await node.listTasks({ limit: PAGE });
      },
    },
    async listNone() {
      await node.listTasks({ status: "rejected", limit: PAGE });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Lets all sizes take turns at each kind of work; the first turn of each does not count. */
async function measureWork(
  pairs: readonly Pair[],
  { work, seconds }: { work: Work; seconds: number },
): Promise<Map<Pair, { p50Ms: number; perSecond: number }>> {
  const rounds = new Map<Pair, ReturnType<typeof toFigures>[]>(pairs.map((pair) => [pair, []]));
  const turn = { inFlight: work === "busy" ? BUSY_SLOTS : 1, durationMs: seconds * 1000 / ROUNDS };
  for (let round = -1; round < ROUNDS; round++) {
    for (const [pair, figures] of rounds) {
      const stretch = await runSlots(() => pair.run[work](), turn);
      if (round >= 0) figures.push(toFigures(stretch));
    }
  }
  const of = (figures: ReturnType<typeof toFigures>[]) => ({
    p50Ms: median(figures.map(({ p50Ms }) => p50Ms)),
    perSecond: median(figures.map(({ perSecond }) => perSecond)),
  });
  return new Map([...rounds].map(([pair, figures]) => [pair, of(figures)]));
}

async function measure(
  command: readonly string[],
  options: { sizes: readonly number[]; seconds: number },
): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const homes = await prepareHomes(options.sizes, stack);
  const starts = new Map<number, { startMs: number; startMiB: number }[]>(
    options.sizes.map((tasks) => [tasks, []]),
  );
  for (let start = 0; start < STARTS; start++) {
    for (const { tasks, near } of homes) starts.get(tasks)?.push(await measureStart(command, near));
  }
  const pairs: Pair[] = [];
  for (const home of homes) pairs.push(stack.use(await startPair(command, home)));
  const figures = new Map<Work, Map<Pair, { p50Ms: number; perSecond: number }>>();
  for (const work of WORKS) {
    figures.set(work, await measureWork(pairs, { work, seconds: options.seconds }));
  }
  const results: Result[] = [];
  for (const pair of pairs) {
    const p50Ms = (work: Work) => figures.get(work)?.get(pair)?.p50Ms ?? NaN;
    const beginMs = performance.now();
    await pair.listNone();
    const started = starts.get(pair.tasks) ?? [];
    results.push({
      tasks: pair.tasks,
      startMs: median(started.map(({ startMs }) => startMs)),
      startMiB: median(started.map(({ startMiB }) => startMiB)),
      roundTripMs: p50Ms("roundTrip"),
      busyPerSecond: figures.get("busy")?.get(pair)?.perSecond ?? NaN,
      getTaskMs: p50Ms("getTask"),
      listPageMs: p50Ms("listPage"),
      listNoneMs: performance.now() - beginMs,
      endMiB: await residentMiB(pair.pid),
    });
  }
  return results;
}

function toRows(results: readonly Result[]): string[][] {
  const header = [
    "tasks",
    "start ms",
    "RSS MiB",
    "round trip ms",
    `per s, ${BUSY_SLOTS} in flight`,
    "get ms",
    `list ${PAGE} ms`,
    "list none ms",
    "RSS MiB after",
  ];
  const rows = results.map(({ tasks, ...figures }) => [
    String(tasks),
    ...Object.values(figures).map((value) => Number.isNaN(value) ? "" : toDigits(value)),
  ]);
  return [header, ...rows];
}

await runBench(async () => {
  const { values } = parseArgs({
    options: {
      tasks: { type: "string", default: "0,1000,10000,100000" },
      seconds: { type: "string", default: "5" },
      program: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const seconds = parsePositive("--seconds", values.seconds);
  const sizes = parseCounts("--tasks", values.tasks, { min: 0 });
  const command = values.program === undefined ? FROM_SOURCE : [values.program];
  const results = await measure(command, { sizes, seconds });
  console.log(
    values.json
      ? JSON.stringify({ machine: describeMachine(), rounds: ROUNDS, seconds, results }, undefined, 2)
      : toTable(toRows(results)),
  );
});
