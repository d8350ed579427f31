/**
 * `deno task soak`: two daemons, an agent and a sender as processes of their own, killed, stopped and cut off from each other
 * at random for as long as asked; then everything is let settle and judged. The last line is one JSON object; exit code 1
 * when anything was lost, invented, done twice without reason, or differs between the two sides.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { isSound } from "../tests/support/fault_checker.ts";
import { driveFaults, type FaultResult } from "../tests/support/fault_driver.ts";
import { type Fault, TASK_KINDS, type TaskKind } from "../tests/support/fault_history.ts";
import { deliverOffline } from "../tests/support/fault_offline.ts";
import { FaultNet } from "../tests/support/fault_net.ts";

const DEFAULT_KINDS = "echo,progress,cancel,fail,echo,reject";
const USAGE =
  `Kills and cuts off real daemons at random, then checks that no task was lost, invented or done twice.

Usage: deno task soak [--seconds N] [--seed S] [--json] [--keep] [--program PATH]

  --seconds N     how long to make faults. Default 60
  --seed S        repeats the choices of an earlier run. Default: a random one, which is told
  --settle N      seconds for everything to settle afterwards. Default 180
  --json          print nothing but the result
  --keep          leave homes, logs and journals where they are, and say where
  --program PATH  test this executable instead of the checkout; it may get past the failing links (see strays)
  --offline N     instead of faults: queue N tasks for a receiver that is down, then start it
  --kinds LIST    kinds of tasks, of ${TASK_KINDS.join(", ")}. Default: ${DEFAULT_KINDS}
`;

const OPTIONS = {
  seconds: { type: "string", default: "60" },
  seed: { type: "string" },
  settle: { type: "string", default: "180" },
  json: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  program: { type: "string" },
  kinds: { type: "string", default: DEFAULT_KINDS },
  offline: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

interface SoakOptions {
  readonly folder: string;
  readonly seconds: number;
  readonly settleMs: number;
  readonly seed: number;
  readonly kinds: readonly TaskKind[];
  readonly program: string | undefined;
  readonly say: (line: string) => void;
}

/** Runs the whole thing once. */
async function soak(
  { folder, seconds, settleMs, seed, kinds, program, say }: SoakOptions,
): Promise<FaultResult> {
  await using net = await FaultNet.start({
    folder,
    kinds,
    ...(program !== undefined && { program: [program] }),
  });
  const beganMs = Date.now();
  const onFault = ({ kind, target, pid, atMs, untilMs }: Fault) => {
    const forMs = untilMs === undefined ? "" : ` for ${untilMs - atMs} ms`;
    say(`${((atMs - beganMs) / 1000).toFixed(1)} s: ${kind} ${target}${forMs}${pid ? ` (${pid})` : ""}`);
  };
  return await driveFaults(net, { faultsMs: seconds * 1000, seed, settleMs, onFault });
}

/** The result in one line, the figures that everybody wants to know first. */
function toJson(result: FaultResult, seed: number): string {
  const { verdict, kills, cuts, agentKills, stops, settledMs, forwardedBytes, strays, problems } = result;
  const { tasks, lost, divergent, reruns, findings, ...others } = verdict;
  const first = { tasks, kills, cuts, lost, divergent, reruns };
  return JSON.stringify({
    ...first,
    ...others,
    agentKills,
    stops,
    settledSeconds: settledMs / 1000,
    forwardedBytes,
    strays,
    seed,
    problems: [...problems, ...findings],
  });
}

/** Tasks for a receiver that is down: answers the exit code. */
async function offline(...args: Parameters<typeof deliverOffline>): Promise<number> {
  const { verdict, ...rest } = await deliverOffline(...args);
  const { tasks, lost, divergent, reruns, findings, ...others } = verdict;
  const first = { tasks, kills: 1, cuts: 0, lost, divergent, reruns };
  console.log(JSON.stringify({ ...first, ...others, ...rest, problems: findings }));
  return isSound(verdict) && rest.outOfOrder === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ args: Deno.args, options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const say = values.json ? () => {} : (line: string) => console.log(line);
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const folder = await Deno.makeTempDir({ prefix: "agentanycast_soak_" });
  say(`seed ${seed}`);
  if (values.keep) say(`homes, logs and journals: ${folder}`);
  const settleMs = Number(values.settle) * 1000;
  const { program } = values;
  try {
    if (values.offline !== undefined) {
      const tested = { folder, ...(program !== undefined && { program: [program] }) };
      return await offline(tested, { tasks: Number(values.offline), settleMs });
    }
    const kinds = values.kinds.split(",") as TaskKind[];
    const result = await soak({
      folder,
      seconds: Number(values.seconds),
      settleMs,
      seed,
      kinds,
      program,
      say,
    });
    if (values.keep) {
      await Deno.writeTextFile(`${folder}/history.json`, JSON.stringify(result.history, undefined, 1));
    }
    console.log(toJson(result, seed));
    return isSound(result.verdict) && result.verdict.tasks > 0 && result.problems.length === 0 ? 0 : 1;
  } finally {
    if (!values.keep) await Deno.remove(folder, { recursive: true });
  }
}

process.exitCode = await main();
