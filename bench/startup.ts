/**
 * How fast the program starts and how much memory an idle daemon takes, from source and as the built executable.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { McpStdio } from "../tests/support/mcp_stdio.ts";
import { runProgram } from "../tests/support/program.ts";
import { tempDir } from "../tests/support/temp_dir.ts";
import { residentMiB } from "./processes.ts";
import { findExecutable, FROM_SOURCE, startDaemonProgram } from "./programs.ts";
import { median } from "./slots.ts";
import { toTable } from "./table.ts";

const USAGE = `Usage: deno task bench:startup [options]

Measures, from source and for dist/agentanycast when it is there: the time of \`version\`, the time until \`mcp\` has
answered its client's first tools/list, the time until a new daemon's socket takes connections, and the resident memory of a daemon that has been idle for a moment. Figures are medians.

  --runs N   runs of each (default 7)
  --json     print JSON instead of a table
  --help     print this`;
/** What a daemon does right after its start is over by then. */
const IDLE_MS = 2_000;

/** What one way of running the program costs. */
interface Costs {
  readonly versionMs: number;
  /** From the start of `mcp` to its first list of tools, on a home without a daemon. */
  readonly toolsMs: number;
  readonly daemonMs: number;
  /** NaN where the system does not tell. */
  readonly idleMiB: number;
}

async function measureOnce(command: readonly string[]): Promise<Costs> {
  const startMs = performance.now();
  const { code, stderr } = await runProgram([...command, "version"]);
  if (code !== 0) throw new Error(`version ended with ${code}: ${stderr}`);
  const versionMs = performance.now() - startMs;
  const toolsMs = await measureTools(command);
  const daemonStartMs = performance.now();
  await using daemon = await startDaemonProgram(command);
  (await Deno.connect({ transport: "unix", path: daemon.grpcAddress.replace("unix://", "") })).close();
  const daemonMs = performance.now() - daemonStartMs;
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return { versionMs, toolsMs, daemonMs, idleMiB: await residentMiB(daemon.pid) };
}

async function measureTools(command: readonly string[]): Promise<number> {
  await using home = await tempDir();
  const startMs = performance.now();
  await using client = new McpStdio(["mcp"], home.path, command);
  await client.initialize();
  await client.request("tools/list");
  const toolsMs = performance.now() - startMs;
  await client.close();
  return toolsMs;
}

/** Lets the programs take turns; the first turn, which fills caches, does not count. */
async function measure(
  programs: ReadonlyMap<string, readonly string[]>,
  runs: number,
): Promise<(Costs & { program: string })[]> {
  const all = new Map<string, Costs[]>([...programs.keys()].map((program) => [program, []]));
  for (let run = -1; run < runs; run++) {
    for (const [program, command] of programs) {
      const result = await measureOnce(command);
      if (run >= 0) all.get(program)?.push(result);
    }
  }
  return [...all].map(([program, results]) => ({
    program,
    versionMs: median(results.map(({ versionMs }) => versionMs)),
    toolsMs: median(results.map(({ toolsMs }) => toolsMs)),
    daemonMs: median(results.map(({ daemonMs }) => daemonMs)),
    idleMiB: median(results.map(({ idleMiB }) => idleMiB)),
  }));
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "7" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
if (values.help) {
  console.log(USAGE);
} else if (!Number.isSafeInteger(runs) || runs < 1) {
  console.error(`--runs must be a positive integer, got ${values.runs}`);
  Deno.exitCode = 2;
} else {
  const programs = new Map([["source", FROM_SOURCE]]);
  const executable = await findExecutable();
  if (executable !== undefined) programs.set("executable", executable);
  const results = await measure(programs, runs);
  const rows = results.map(({ program, versionMs, toolsMs, daemonMs, idleMiB }) => [
    program,
    versionMs.toFixed(0),
    toolsMs.toFixed(0),
    daemonMs.toFixed(0),
    Number.isNaN(idleMiB) ? "-" : idleMiB.toFixed(0),
  ]);
  console.log(
    values.json
      ? JSON.stringify({ runs, results }, undefined, 2)
      : toTable([["", "version ms", "first tools/list ms", "daemon ready ms", "idle RSS MiB"], ...rows]),
  );
}
