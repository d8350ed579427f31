/**
 * `deno task nat`: real daemons behind NATs of each kind, made from network namespaces, send tasks to each other through two
 * relays and find direct ways. Prints the matrix; with `--json` the last line is one JSON object.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { Impairment } from "../tests/nat/impaired_network.ts";
import { labObstacle, NAT_KINDS, type NatKind, removeLabs } from "../tests/nat/lab.ts";
import { type Cell, runMatrix } from "./nat_matrix.ts";
import { describeCell, summarize, toTable } from "./nat_report.ts";
import { TRANSPORT_SETS } from "./nat_transports.ts";
import { hasTcpdump, runCapture, runCut, runOutage } from "./nat_trials.ts";

const USAGE = `Sends tasks between real daemons behind NATs of each kind and shows which way they took.

Usage: deno task nat [--transports LIST] [--pairs A:B,…] [--tries N] [--delay MS] [--loss PERCENT] [--json]

  --transports LIST    only these of ${TRANSPORT_SETS.join(", ")}: what nodes may use. Default: all of them
  --pairs LIST         only these pairs of ${NAT_KINDS.join(", ")}. Default: those without the last two
  --tries N            how often, with new daemons each time. Default 1
  --direct-timeout MS  how long to wait for a direct connection after the first task. Default 8000
  --delay MS           what each packet between two hosts takes, in user space. Default 0
  --jitter MS          most that chance adds to it. Default 0
  --loss PERCENT       how many packets are lost. Default 0
  --outage             instead: kill the only relay for 30 s in the middle of tasks and a stream
  --tasks N            tasks of --outage. Default 1000
  --stream-mib N       length of the stream of --outage. Default 100
  --cut WHAT           instead: swallow udp, or everything, below a direct connection in the middle of tasks
  --outage-ms MS       how long the relay, or what is cut, is away. Default 30000
  --capture            instead: look for the text of a task in a packet capture on the relay (needs tcpdump)
  --keep FOLDER        leave the daemons' homes and logs there
  --json               progress goes to standard error, the result to the last line of standard output
`;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    "transports": { type: "string", default: TRANSPORT_SETS.join() },
    "pairs": { type: "string" },
    "tries": { type: "string", default: "1" },
    "direct-timeout": { type: "string", default: "8000" },
    "delay": { type: "string", default: "0" },
    "jitter": { type: "string", default: "0" },
    "loss": { type: "string", default: "0" },
    "keep": { type: "string" },
    "outage": { type: "boolean", default: false },
    "tasks": { type: "string", default: "1000" },
    "stream-mib": { type: "string", default: "100" },
    "cut": { type: "string" },
    "outage-ms": { type: "string", default: "30000" },
    "capture": { type: "boolean", default: false },
    "json": { type: "boolean", default: false },
    "help": { type: "boolean", default: false },
  },
});
const say = values.json ? console.error : console.log;
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void removeLabs().finally(() => Deno.exit(130)));
}
Deno.exit(await run());

function run(): Promise<number> {
  if (values.outage) return outage();
  if (values.capture) return capture();
  return values.cut === undefined ? main() : cut(values.cut);
}

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

async function cut(what: string): Promise<number> {
  const obstacle = await labObstacle();
  if (obstacle !== undefined) return skip(obstacle);
  const result = await runCut({
    what: oneOf(["udp", "everything"], what, "--cut"),
    outageMs: Number(values["outage-ms"]),
    folder: values.keep,
  });
  console.log(JSON.stringify({ ...result, skipped: 0 }));
  return result.lost === 0 && result.directAgainMs !== undefined ? 0 : 1;
}

async function capture(): Promise<number> {
  const obstacle = await labObstacle() ?? (await hasTcpdump() ? undefined : "there is no tcpdump");
  if (obstacle !== undefined) return skip(obstacle);
  const result = await runCapture();
  console.log(JSON.stringify({ ...result, skipped: 0 }));
  return result.complete && result.found === 0 ? 0 : 1;
}

function skip(obstacle: string): number {
  say(`No laboratory can be made here: ${obstacle}`);
  console.log(JSON.stringify({ skipped: 1 }));
  return 0;
}

async function main(): Promise<number> {
  const pairs = toPairs(values.pairs);
  const sets = values.transports.split(",").map((name) => oneOf(TRANSPORT_SETS, name, "--transports"));
  const tries = count("tries");
  const obstacle = await labObstacle();
  if (obstacle !== undefined) {
    say(`No laboratory can be made here: ${obstacle}`);
    const skipped = pairs.length * tries * sets.length;
    console.log(JSON.stringify({ cells: 0, undelivered: 0, relayed: 0, direct: 0, skipped }));
    return 0;
  }
  const cells: Cell[] = [];
  for (const transports of sets) {
    for (let i = 0; i < tries; i++) {
      const folder = values.keep === undefined ? {} : { folder: `${values.keep}/${transports}-${i}` };
      const onCell = (cell: Cell) => say(describeCell(cell));
      const options = {
        pairs,
        transports,
        impairment: impairment(),
        directTimeoutMs: count("direct-timeout"),
      };
      cells.push(...await runMatrix({ ...options, onCell, ...folder }));
    }
  }
  const result = summarize(cells);
  for (const set of sets) say(toTable(set, cells.filter(({ transports }) => transports === set)));
  say(
    `${result.cells} cells: ${result.direct} direct, ${result.relayed} relayed, ${result.undelivered} undelivered`,
  );
  console.log(JSON.stringify(result));
  return result.undelivered === 0 ? 0 : 1;
}

function impairment(): Impairment | undefined {
  const [delayMs, jitterMs, lossPercent] = [count("delay"), count("jitter"), count("loss")];
  return delayMs + jitterMs + lossPercent === 0 ? undefined : { delayMs, jitterMs, lossPercent };
}

function count(option: "tries" | "direct-timeout" | "delay" | "jitter" | "loss"): number {
  const value = Number(values[option]);
  if (!(value >= 0)) throw new SyntaxError(`--${option}: ${values[option]} is no number`);
  return value;
}

function toPairs(text: string | undefined): (readonly [NatKind, NatKind])[] {
  const kinds = NAT_KINDS.filter((kind) => kind !== "port-mapping" && kind !== "miniupnpd");
  if (text === undefined) return kinds.flatMap((from) => kinds.map((to) => [from, to] as const));
  return text.split(",").map((pair) => {
    const [from = "", to = ""] = pair.split(":");
    return [oneOf(NAT_KINDS, from, "--pairs"), oneOf(NAT_KINDS, to, "--pairs")] as const;
  });
}

function oneOf<T extends string>(known: readonly T[], name: string, option: string): T {
  const found = known.find((one) => one === name);
  if (found === undefined) throw new SyntaxError(`${option}: ${name} is none of ${known.join(", ")}`);
  return found;
}
