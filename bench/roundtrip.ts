/**
 * How long a small task takes to another agent and back, beside A2A over plain HTTP and bytes over raw TCP. Everything
 * runs on the loopback interface, in turns, so that a busy machine slows all of them alike.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { startAgentAnycast } from "./agentanycast.ts";
import type { Contender } from "./contender.ts";
import { startHttpA2a } from "./http_a2a.ts";
import { FROM_SOURCE } from "./programs.ts";
import { startRawTcp } from "./raw_tcp.ts";
import { type Figures, medianFigures, runSlots, toFigures } from "./slots.ts";
import { toDigits, toTable } from "./table.ts";

const ROUNDS = 5;
const IN_FLIGHT = [1, 8, 32];
const WARM_UP_MS = 500;
const TEXT_CHARS = 64;
const USAGE = `Usage: deno task bench [options]

Measures round trips of a small task: p50 and p99 in milliseconds, and tasks per second, with 1, 8 and 32 in flight.
Figures are medians over ${ROUNDS} rounds in which the contenders take turns.

  --seconds N      seconds of measuring per contender and number in flight (default 5)
  --program PATH   measure this executable instead of the source
  --json           print JSON instead of a table
  --help           print this`;

/** The figures of one contender with some round trips in flight at once. */
interface Result extends Figures {
  readonly contender: string;
  readonly inFlight: number;
}

/** Lets all contenders take turns. Throws when one answers something else than it was sent. */
async function measure(contenders: readonly Contender[], seconds: number): Promise<Result[]> {
  let count = 0;
  const turn = (contender: Contender, options: { inFlight: number; durationMs: number }) =>
    runSlots(async (slot) => {
      const text = `${count++} `.padEnd(TEXT_CHARS, "x");
      if (await contender.roundTrip(text, slot) !== text) throw new Error(`${contender.name} lost a text`);
    }, options);
  for (const contender of contenders) {
    for (const inFlight of IN_FLIGHT) await turn(contender, { inFlight, durationMs: WARM_UP_MS });
  }
  const results: Result[] = [];
  for (const inFlight of IN_FLIGHT) {
    const rounds = new Map<Contender, Figures[]>(contenders.map((contender) => [contender, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const contender of contenders) {
        const stretch = await turn(contender, { inFlight, durationMs: seconds * 1000 / ROUNDS });
        rounds.get(contender)?.push(toFigures(stretch));
      }
    }
    for (const [{ name }, figures] of rounds) {
      results.push({ contender: name, inFlight, ...medianFigures(figures) });
    }
  }
  return results;
}

function toRows(results: readonly Result[]): string[][] {
  const header = ["", "in flight", "p50 ms", "p99 ms", "per s", "p50 ratio", "rate ratio"];
  const rows = results.map((result) => {
    const { contender, inFlight, p50Ms, p99Ms, perSecond } = result;
    const first = results.find((one) => one.inFlight === inFlight) ?? result;
    return [
      contender,
      String(inFlight),
      toDigits(p50Ms),
      toDigits(p99Ms),
      toDigits(perSecond),
      `${toDigits(first.p50Ms / p50Ms)}x`,
      `${toDigits(perSecond / first.perSecond)}x`,
    ];
  });
  return [header, ...rows];
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    program: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
if (values.help) {
  console.log(USAGE);
} else if (!(seconds > 0)) {
  console.error(`--seconds must be a positive number, got ${values.seconds}`);
  Deno.exitCode = 2;
} else {
  await using stack = new AsyncDisposableStack();
  const contenders = [
    stack.use(await startAgentAnycast(values.program === undefined ? FROM_SOURCE : [values.program])),
    stack.use(await startHttpA2a()),
    stack.use(await startRawTcp(Math.max(...IN_FLIGHT))),
  ];
  const results = await measure(contenders, seconds);
  const machine = { deno: Deno.version.deno, cpus: navigator.hardwareConcurrency, os: Deno.build.os };
  console.log(
    values.json
      ? JSON.stringify({ machine, rounds: ROUNDS, seconds, results }, undefined, 2)
      : `${toTable(toRows(results))}\n\nRatios are against the first of the same number in flight.`,
  );
}
