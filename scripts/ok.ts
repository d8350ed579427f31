/**
 * Everything a change must pass: format, lint, types, generated code, links, the package, tests. Each step runs even when an earlier one
 * failed, and each failed step counts as one failure in the closing line. `--fast` leaves out the tests; other arguments
 * go to them.
 *
 * @module
 */
import { join } from "node:path";
import { closingLine, runTests, type TestCounts } from "./test.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");

const STEPS: Readonly<Record<string, readonly string[]>> = {
  fmt: ["fmt", "--check"],
  lint: ["lint"],
  check: ["check", "--quiet", "."],
  gen: ["run", "-A", "scripts/gen.ts", "--check"],
  reference: ["run", "-A", "scripts/reference.ts", "--check"],
  links: ["run", "-A", "scripts/links.ts"],
  package: ["run", "-A", "scripts/check_package.ts"],
};

async function runStep(name: string, run: () => Promise<boolean>): Promise<boolean> {
  console.log(`== ${name}`);
  const startMs = performance.now();
  const ok = await run();
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`== ${name}: ${ok ? "ok" : "FAILED"} (${seconds} s)\n`);
  return ok;
}

async function runDeno(args: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return success;
}

async function main(args: readonly string[]): Promise<number> {
  Deno.chdir(ROOT);
  const failedSteps: string[] = [];
  for (const [name, command] of Object.entries(STEPS)) {
    if (!await runStep(name, () => runDeno(command))) failedSteps.push(name);
  }
  const tests: TestCounts = { passed: 0, failed: 0, skipped: 0 };
  if (!args.includes("--fast")) {
    await runStep(
      "test",
      async () => Object.assign(tests, await runTests([...args, "--no-check"])).failed === 0,
    );
  }
  if (failedSteps.length > 0) console.log(`Failed before the tests: ${failedSteps.join(", ")}`);
  const failed = tests.failed + failedSteps.length;
  if (!args.includes("--fast")) console.log(closingLine({ ...tests, failed }));
  return failed > 0 ? 1 : 0;
}

Deno.exit(await main(Deno.args));
