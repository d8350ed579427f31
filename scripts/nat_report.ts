import type { Cell } from "./nat_matrix.ts";

/** What a run came to; times are milliseconds. */
export interface NatSummary {
  cells: number;
  undelivered: number;
  relayed: number;
  direct: number;
  skipped: number;
  /** First tasks: the middle one and the slowest. */
  firstTaskMs: number;
  slowestFirstTaskMs: number;
  /** Direct connections: the middle one and the slowest. */
  directMs: number;
  slowestDirectMs: number;
}

/** Counts of `cells`. */
export function summarize(cells: readonly Cell[]): NatSummary {
  const count = (test: (cell: Cell) => boolean) => cells.filter(test).length;
  const firstTasks = cells.flatMap(({ firstTaskMs }) => firstTaskMs ?? []);
  const direct = cells.flatMap(({ directMs }) => directMs ?? []);
  return {
    cells: cells.length,
    undelivered: count(({ delivered }) => !delivered),
    relayed: count(({ path }) => path === "relayed"),
    direct: count(({ path }) => path === "direct"),
    skipped: 0,
    firstTaskMs: median(firstTasks),
    slowestFirstTaskMs: Math.round(Math.max(0, ...firstTasks)),
    directMs: median(direct),
    slowestDirectMs: Math.round(Math.max(0, ...direct)),
  };
}

/** A cell as a line. */
export function describeCell(cell: Cell): string {
  const ms = (value: number | undefined) => value === undefined ? "-" : `${Math.round(value)} ms`;
  const { from, to, transports, firstTaskMs, path, transport, directMs, verdict, obstacle } = cell;
  return [
    `${transports.padEnd(12)} ${from.padEnd(15)} -> ${to.padEnd(15)}`,
    `first task ${ms(firstTaskMs).padStart(8)}`,
    `${path.padEnd(8)} ${transport.padEnd(12)}`,
    `direct after ${ms(directMs).padStart(8)}`,
    verdict.padEnd(15),
    path === "direct" ? "" : obstacle ?? "",
  ].join("  ").trimEnd();
}

/** The cells of one set of transports in Markdown: how each pair is connected, and seconds to the first task and to direct. */
export function toTable(set: string, cells: readonly Cell[]): string {
  const kinds = (side: "from" | "to") => [...new Set(cells.map((cell) => cell[side]))];
  const columns = kinds("to");
  const rows = kinds("from").map((from) => [
    from,
    ...columns.map((to) => describePair(cells.filter((cell) => cell.from === from && cell.to === to))),
  ]);
  const { direct, cells: all, firstTaskMs, slowestFirstTaskMs } = summarize(cells);
  return [
    "",
    `${set}: ${direct} of ${all} direct; first task ${seconds(firstTaskMs)} s in the middle, ${
      seconds(slowestFirstTaskMs)
    } s at most`,
    "",
    ...[["from \\ to", ...columns], ["from", ...columns].map(() => "---"), ...rows].map((row) =>
      `| ${row.join(" | ")} |`
    ),
  ].join("\n");
}

/** Tries of one pair: `relayed 0.2 s`, `direct 0.1 s`, or `direct 0.1 → 0.4 s` when it was relayed before. */
function describePair(tries: readonly Cell[]): string {
  if (tries.length === 0) return "";
  const { direct, undelivered, cells, firstTaskMs, directMs } = summarize(tries);
  const count = (part: number) => cells === 1 ? "" : ` ${part}/${cells}`;
  if (undelivered > 0) return `**undelivered**${count(undelivered)}`;
  if (direct === 0) return `relayed ${seconds(firstTaskMs)} s`;
  const moved = directMs - firstTaskMs > 150 ? ` → ${seconds(directMs)}` : "";
  return `direct${count(direct)} ${seconds(firstTaskMs)}${moved} s`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
