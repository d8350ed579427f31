/**
 * `deno task nat`: real daemons behind NATs of each kind, made from network namespaces, send tasks to each other through two
 * relays and find direct ways. Prints the matrix; with `--json` the last line is one JSON object.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { labObstacle, NAT_KINDS, type NatKind } from "../tests/nat/lab.ts";
import { type Cell, runMatrix } from "./nat_matrix.ts";
import { hasTcpdump, runCapture, runOutage } from "./nat_trials.ts";

const USAGE = `Sends tasks between real daemons behind NATs of each kind and shows which way they took.

Usage: deno task nat [--pairs A:B,…] [--tries N] [--direct-timeout MS] [--keep FOLDER] [--json]

  --pairs LIST         only these pairs of ${NAT_KINDS.join(", ")}. Default: all of them
  --tries N            how often, with new daemons each time. Default 1
  --direct-timeout MS  how long to wait for a direct connection. Default 8000
  --outage             instead: kill the only relay for 30 s in the middle of tasks and a stream
  --tasks N            tasks of --outage. Default 1000
  --stream-mib N       length of the stream of --outage. Default 100
  --outage-ms MS       how long it is away. Default 30000
  --capture            instead: look for the text of a task in a packet capture on the relay (needs tcpdump)
  --keep FOLDER        leave the daemons' homes and logs there
  --json               print nothing but the result
`;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    "pairs": { type: "string" },
    "tries": { type: "string", default: "1" },
    "direct-timeout": { type: "string", default: "8000" },
    "keep": { type: "string" },
    "outage": { type: "boolean", default: false },
    "tasks": { type: "string", default: "1000" },
    "stream-mib": { type: "string", default: "100" },
    "outage-ms": { type: "string", default: "30000" },
    "capture": { type: "boolean", default: false },
    "json": { type: "boolean", default: false },
    "help": { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}
Deno.exit(await (values.outage ? outage() : values.capture ? capture() : main()));

async function outage(): Promise<number> {
  const obstacle = await labObstacle();
  if (obstacle !== undefined) return skip(obstacle);
  const result = await runOutage({
    tasks: Number(values.tasks),
    streamMib: Number(values["stream-mib"]),
    outageMs: Number(values["outage-ms"]),
    folder: values.keep,
  });
  console.log(JSON.stringify({ ...result, skipped: 0 }));
  return result.lost === 0 && result.streamWhole ? 0 : 1;
}

async function capture(): Promise<number> {
  const obstacle = await labObstacle() ?? (await hasTcpdump() ? undefined : "there is no tcpdump");
  if (obstacle !== undefined) return skip(obstacle);
  const result = await runCapture();
  console.log(JSON.stringify({ ...result, skipped: 0 }));
  return result.complete && result.found === 0 ? 0 : 1;
}

function skip(obstacle: string): number {
  if (!values.json) console.log(`No laboratory can be made here: ${obstacle}`);
  console.log(JSON.stringify({ skipped: 1 }));
  return 0;
}

async function main(): Promise<number> {
  const pairs = toPairs(values.pairs);
  const tries = Number(values.tries);
  const say = (line: string) => values.json ? undefined : console.log(line);
  const obstacle = await labObstacle();
  if (obstacle !== undefined) {
    say(`No laboratory can be made here: ${obstacle}`);
    console.log(
      JSON.stringify({ cells: 0, undelivered: 0, relayed: 0, direct: 0, skipped: pairs.length * tries }),
    );
    return 0;
  }
  const cells: Cell[] = [];
  for (let i = 0; i < tries; i++) {
    const folder = values.keep === undefined ? {} : { folder: `${values.keep}/${i}` };
    cells.push(
      ...await runMatrix({
        pairs,
        directTimeoutMs: Number(values["direct-timeout"]),
        onCell: (cell) => say(describe(cell)),
        ...folder,
      }),
    );
  }
  const count = (test: (cell: Cell) => boolean) => cells.filter(test).length;
  const result = {
    cells: cells.length,
    undelivered: count(({ delivered }) => !delivered),
    relayed: count(({ path }) => path === "relayed"),
    direct: count(({ path }) => path === "direct"),
    skipped: 0,
    slowestFirstTaskMs: Math.round(Math.max(...cells.map(({ firstTaskMs }) => firstTaskMs ?? 0))),
  };
  say(
    `${result.cells} cells: ${result.direct} direct, ${result.relayed} relayed, ${result.undelivered} undelivered`,
  );
  if (values.json) console.log(JSON.stringify(result));
  return result.undelivered === 0 ? 0 : 1;
}

function toPairs(text: string | undefined): (readonly [NatKind, NatKind])[] {
  if (text === undefined) return NAT_KINDS.flatMap((from) => NAT_KINDS.map((to) => [from, to] as const));
  return text.split(",").map((pair) => {
    const [from, to] = pair.split(":").map((kind) => NAT_KINDS.find((known) => known === kind));
    if (from === undefined || to === undefined) {
      throw new SyntaxError(`--pairs: ${pair} is no pair of ${NAT_KINDS.join(", ")}`);
    }
    return [from, to] as const;
  });
}

function describe({ from, to, firstTaskMs, path, transport, directMs, verdict }: Cell): string {
  const ms = (value: number | undefined) => value === undefined ? "-" : `${Math.round(value)} ms`;
  return [
    `${from.padEnd(16)} -> ${to.padEnd(16)}`,
    `first task ${ms(firstTaskMs).padStart(8)}`,
    `${path.padEnd(8)} ${transport.padEnd(5)}`,
    `direct after ${ms(directMs).padStart(8)}`,
    verdict,
  ].join("  ");
}
