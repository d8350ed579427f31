/**
 * Runs test files, each in a `deno test` of its own and a few at a time, shows what each printed when it ends, and ends
 * with one line: `N passed, N failed`, and `, N skipped` when some were. A file that fails or stands still is run once
 * more, alone: what passes only then is named as unsteady. What never ran counts as failed.
 *
 * Arguments name files and folders, else all of `test.include` in deno.json is run; options (`--filter=words`) go to `deno test`.
 *
 * @module
 */
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** How many tests ended in which way; a step belongs to its test. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What came of one file. */
interface FileRun {
  readonly file: string;
  readonly counts: TestCounts;
  readonly output: string;
}

const TEST_FILE = /_test\.tsx?$/;
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/;
/** A file that ends its own run: Deno goes on without it and reports success. */
const EARLY_EXIT = /^note .* called `Deno\.exit\(/;
/** What Deno says of a test that stands still, first after one minute, then after two, four and so on. */
const STUCK = /has been running for over \((?:[4-9]|\d{2,})m/;
/** The longest that a file may run. */
const FILE_LIMIT_MS = 15 * 60_000;
/** How long a process that a file left behind may hold on to its output. */
const LAST_OUTPUT_MS = 5_000;
/** Files that failed, up to which they are run again: more of them have one cause. */
const MAX_RUN_AGAIN = 8;

/** The closing line for `counts`. */
export function closingLine(counts: TestCounts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

/** Counts what `deno test` said of one file. Its last summary is believed, but a run that did not succeed has a failure. */
export function countTests(output: string, success: boolean): TestCounts {
  const lines = output.split("\n");
  const summary = lines.findLast((line) => SUMMARY.test(line))?.match(SUMMARY) ?? undefined;
  const [passed = 0, failed = 0, skipped = 0] = summary?.slice(1).map((n) => Number(n ?? 0)) ?? [];
  const cutShort = lines.filter((line) => EARLY_EXIT.test(line)).length;
  const broken = failed + cutShort === 0 && (!success || summary === undefined) ? 1 : 0;
  return { passed, failed: failed + cutShort + broken, skipped };
}

/** Whether `text` says that a test has run for four minutes or more: none is meant to, and the run would last for ever. */
export function isStuck(text: string): boolean {
  return STUCK.test(text);
}

/** Runs the tests that `args` name, in the current folder, and counts the outcome; nothing run is a failure. */
export async function runTests(args: readonly string[]): Promise<TestCounts> {
  const options = args.filter((arg) => arg.startsWith("-"));
  const paths = args.filter((arg) => !arg.startsWith("-"));
  const files = (paths.length > 0 ? paths : testFolders()).flatMap(testFiles).sort();
  if (!options.includes("--no-check") && !await typesHold(files)) return { passed: 0, failed: 1, skipped: 0 };
  const runs = await runAll(files, [...options, "--no-check"]);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const run of runs) {
    counts.passed += run.counts.passed;
    counts.failed += run.counts.failed;
    counts.skipped += run.counts.skipped;
  }
  if (counts.passed + counts.failed === 0) counts.failed = 1;
  return counts;
}

const running = new Set<Deno.ChildProcess>();

/** Whoever ends this program ends the files under way. */
function endTogether(): void {
  const end = () => {
    for (const child of running) child.kill("SIGKILL");
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", end);
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", end);
}

async function runAll(files: readonly string[], options: readonly string[]): Promise<FileRun[]> {
  endTogether();
  const runs: FileRun[] = [];
  const left = [...files];
  const work = async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const run = await runFile(file, options);
      runs.push(run);
      console.log(run.output);
    }
  };
  await Promise.all(Array.from({ length: Math.min(navigator.hardwareConcurrency, 4) }, work));
  const failed = runs.filter(({ counts }) => counts.failed > 0);
  if (failed.length > MAX_RUN_AGAIN) return runs;
  const unsteady: string[] = [];
  for (const { file } of failed) {
    console.log(`== once more, alone: ${file}`);
    const again = await runFile(file, options);
    console.log(again.output);
    runs.splice(runs.findIndex((run) => run.file === file), 1, again);
    if (again.counts.failed === 0) unsteady.push(file);
  }
  if (unsteady.length > 0) console.log(`Unsteady, passed when run once more: ${unsteady.join(", ")}`);
  return runs;
}

async function runFile(file: string, options: readonly string[]): Promise<FileRun> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...options, file],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  const startMs = performance.now();
  let output = "";
  let killed = false;
  const kill = (why: string) => {
    if (killed) return;
    killed = true;
    output += `\n${file} was ended: ${why}\n`;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => kill(`it ran for ${FILE_LIMIT_MS / 60_000} minutes`), FILE_LIMIT_MS);
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += stripVTControlCharacters(text);
      if (isStuck(text)) kill("one of its tests stands still");
    }
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const { success } = await child.status;
  running.delete(child);
  clearTimeout(timer);
  const late = AbortSignal.timeout(LAST_OUTPUT_MS);
  await Promise.race([collected, new Promise((resolve) => late.addEventListener("abort", resolve))]);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  return { file, counts: countTests(output, success), output: `${output.trim()} [${seconds} s]\n` };
}

/** Whether the types of `files` hold; says on the screen where they do not. */
async function typesHold(files: readonly string[]): Promise<boolean> {
  if (files.length === 0) return true;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...files],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return success;
}

function testFolders(): string[] {
  return JSON.parse(Deno.readTextFileSync("deno.json")).test.include;
}

/** The test files in `path`, or itself when it is a file. */
function testFiles(path: string): string[] {
  if (Deno.statSync(path).isFile) return [path];
  return [...Deno.readDirSync(path)].filter(({ name }) => name !== "node_modules").flatMap((entry) =>
    entry.isDirectory || TEST_FILE.test(entry.name) ? testFiles(join(path, entry.name)) : []
  );
}

if (import.meta.main) {
  const counts = await runTests(Deno.args);
  console.log(closingLine(counts));
  Deno.exit(counts.failed > 0 ? 1 : 0);
}
