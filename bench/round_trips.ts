import { parseArgs } from "node:util";
import { parseCounts, parsePositive, pickNamed, runBench } from "./arguments.ts";
import type { Contender, ContenderEntry } from "./contender.ts";
import { describeMachine } from "./machine.ts";
import { cpuMs } from "./processes.ts";
import { FROM_SOURCE } from "./programs.ts";
import { type Figures, medianFigures, runSlots, toFigures } from "./slots.ts";
import { toDigits, toTable } from "./table.ts";

/** Rounds of which the figures are the medians. */
export const ROUNDS = 5;
const WARM_UP_MS = 500;
/** What a contender does after its turn, such as tidying its store, is over by then and counts as its CPU time. */
const SETTLE_MS = 100;
/** After this long beyond its turn a contender counts as stuck. */
const STUCK_MS = 60_000;
const TEXT_CHARS = 64;

/** The figures of one contender with some round trips in flight at once. */
interface Result extends Figures {
  readonly contender: string;
  readonly inFlight: number;
  /** NaN where the system does not tell. */
  readonly cpuMsPerTask: number;
}

/** A contender that has been started. */
interface Started {
  readonly name: string;
  readonly contender: Contender;
}

interface Turn {
  readonly figures: Figures;
  readonly tasks: number;
  readonly cpuMs: number;
}

let textCount = 0;

/** Throws an error that names `what` when `work` takes longer than `limitMs`. */
async function limited<T>(
  work: Promise<T>,
  { what, limitMs }: { what: string; limitMs: number },
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} came to no end in ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** One stretch of round trips. Throws when something else comes back than was sent, or nothing. */
async function takeTurn(
  { name, contender }: Started,
  options: { inFlight: number; durationMs: number },
): Promise<Turn> {
  const pids = [Deno.pid, ...contender.pids];
  const cpuBeforeMs = await cpuMs(pids);
  const roundTrips = runSlots(async (slot) => {
    const text = `${textCount++} `.padEnd(TEXT_CHARS, "x");
    if (await contender.roundTrip(text, slot) !== text) throw new Error(`${name} lost a text`);
  }, options);
  const stretch = await limited(roundTrips, {
    what: `${name} with ${options.inFlight} in flight`,
    limitMs: options.durationMs + STUCK_MS,
  });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const cpuUsedMs = await cpuMs(pids) - cpuBeforeMs;
  return { figures: toFigures(stretch), tasks: stretch.latenciesMs.length, cpuMs: cpuUsedMs };
}

/** Lets all contenders take turns. */
async function measure(
  contenders: readonly Started[],
  options: { inFlight: readonly number[]; seconds: number },
): Promise<Result[]> {
  for (const started of contenders) {
    for (const inFlight of options.inFlight) await takeTurn(started, { inFlight, durationMs: WARM_UP_MS });
  }
  const results: Result[] = [];
  for (const inFlight of options.inFlight) {
    const turns = new Map<Started, Turn[]>(contenders.map((started) => [started, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [started, past] of turns) {
        past.push(await takeTurn(started, { inFlight, durationMs: options.seconds * 1000 / ROUNDS }));
      }
    }
    for (const [{ name }, past] of turns) {
      const sum = (pick: (turn: Turn) => number) => past.reduce((total, turn) => total + pick(turn), 0);
      const cpuMsPerTask = sum((turn) => turn.cpuMs) / sum(({ tasks }) => tasks);
      const figures = medianFigures(past.map((turn) => turn.figures));
      results.push({ contender: name, inFlight, ...figures, cpuMsPerTask });
    }
  }
  return results;
}

function toRows(results: readonly Result[]): string[][] {
  const header = ["", "in flight", "p50 ms", "p99 ms", "per s", "cpu ms/task", "p50 ratio", "rate ratio"];
  const rows = results.map((result) => {
    const { contender, inFlight, p50Ms, p99Ms, perSecond, cpuMsPerTask } = result;
    const first = results.find((one) => one.inFlight === inFlight) ?? result;
    return [
      contender,
      String(inFlight),
      toDigits(p50Ms),
      toDigits(p99Ms),
      toDigits(perSecond),
      Number.isNaN(cpuMsPerTask) ? "" : toDigits(cpuMsPerTask),
      `${toDigits(first.p50Ms / p50Ms)}x`,
      `${toDigits(perSecond / first.perSecond)}x`,
    ];
  });
  return [header, ...rows];
}

/** Starts what can be started; the others are named with what they lack. */
async function startAll(
  entries: readonly ContenderEntry[],
  options: { slots: number; stack: AsyncDisposableStack },
): Promise<{ started: Started[]; skipped: { contender: string; reason: string }[] }> {
  const started: Started[] = [];
  const skipped: { contender: string; reason: string }[] = [];
  for (const { name, start, missing } of entries) {
    const reason = await missing?.();
    if (reason !== undefined) skipped.push({ contender: name, reason });
    else started.push({ name, contender: options.stack.use(await start(options.slots)) });
  }
  return { started, skipped };
}

/** A bench of round trips as its user sees it. */
export interface RoundTripBench {
  readonly usage: string;
  /** What takes part, driven by the program that `command` starts; the first is what the others are held against. */
  contenders(command: readonly string[]): readonly ContenderEntry[];
  /** Round trips under way at once unless told otherwise. */
  readonly inFlight: string;
}

/** Runs the bench that the command line asks for, and prints it. */
export async function runRoundTrips(bench: RoundTripBench): Promise<void> {
  await runBench(() => run(bench));
}

async function run({ usage, contenders, inFlight: byDefault }: RoundTripBench): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      "in-flight": { type: "string", default: byDefault },
      seconds: { type: "string", default: "5" },
      program: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const seconds = parsePositive("--seconds", values.seconds);
  const inFlight = parseCounts("--in-flight", values["in-flight"]);
  const all = contenders(values.program === undefined ? FROM_SOURCE : [values.program]);
  const entries = pickNamed(all, values.only);
  await using stack = new AsyncDisposableStack();
  const { started, skipped } = await startAll(entries, { slots: Math.max(...inFlight), stack });
  const results = await measure(started, { inFlight, seconds });
  if (values.json) {
    const machine = describeMachine();
    return console.log(JSON.stringify({ machine, rounds: ROUNDS, seconds, results, skipped }, undefined, 2));
  }
  console.log(`${toTable(toRows(results))}\n\nRatios are against the first of the same number in flight.`);
  if (skipped.length === 0) return;
  console.log(`${skipped.length} of ${entries.length} contenders left out:`);
  for (const { contender, reason } of skipped) console.log(`  ${contender}: ${reason}`);
}
