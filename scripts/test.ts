/**
 * Runs `deno test` with the given arguments (files, `--filter` and so on), shows its output as it comes, and ends with
 * one line: `N passed, N failed`, and `, N skipped` when some were. What never ran counts as failed.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";

/** How many tests ended in which way; a step belongs to its test. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/;
/** The longest line that is looked at; of a longer one only the end is. */
const MAX_LINE_CHARS = 65_536;
/** A file that ends its own run: Deno goes on without it and reports success. */
const EARLY_EXIT = /^note .* called `Deno\.exit\(/;

/** What Deno says of a test that stands still, first after one minute, then after two, four and so on. */
const STUCK = /has been running for over \((?:[4-9]|\d{2,})m/;

/** The closing line for `counts`. */
export function closingLine(counts: TestCounts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

/**
 * Counts what the output of `deno test` says. Its last summary is believed, but a run that did not succeed, or in which
 * nothing ran, has at least one failure.
 */
export function countTests(lines: readonly string[], success: boolean): TestCounts {
  const summary = lines.findLast((line) => SUMMARY.test(line));
  const [passed = 0, failed = 0, skipped = 0] =
    summary?.match(SUMMARY)?.slice(1).map((n) => Number(n ?? 0)) ??
      [];
  const cutShort = lines.filter((line) => EARLY_EXIT.test(line)).length;
  const broken = failed + cutShort === 0 && (!success || passed === 0) ? 1 : 0;
  return { passed, failed: failed + cutShort + broken, skipped };
}

/** Whether a line says that a test has run for four minutes or more: none is meant to, and the run would last for ever. */
export function isStuck(line: string): boolean {
  return STUCK.test(line);
}

/** Runs `deno test` with `args` in the current folder, passing on its output, and counts the outcome. */
export async function runTests(args: readonly string[]): Promise<TestCounts> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const [forScreen, forCount] = child.stdout.tee();
  const shown = forScreen.pipeTo(Deno.stdout.writable, { preventClose: true });
  const lines: string[] = [];
  let rest = "";
  for await (const text of forCount.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = (parts.pop() ?? "").slice(-MAX_LINE_CHARS);
    for (const part of parts) {
      const line = stripVTControlCharacters(part).trimEnd();
      if (isStuck(line)) child.kill("SIGKILL");
      if (SUMMARY.test(line) || EARLY_EXIT.test(line)) lines.push(line);
    }
  }
  await shown;
  const { success } = await child.status;
  return countTests(lines, success);
}

if (import.meta.main) {
  const counts = await runTests(Deno.args);
  console.log(`\n${closingLine(counts)}`);
  Deno.exit(counts.failed > 0 ? 1 : 0);
}
