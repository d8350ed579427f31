import assert from "node:assert/strict";
import { join } from "node:path";
import { closingLine, countTests, isStuck } from "../../scripts/test.ts";

const SCRIPT = join(import.meta.dirname!, "../../scripts/test.ts");
const PASSING = 'Deno.test("a", async (t) => void await t.step("s", () => {}));';

/** Runs the script over files with these texts; answers its last line, its exit code and all that it printed. */
async function runScript(
  files: Record<string, string>,
  args: string[] = ["--no-check"],
): Promise<[last: string, code: number, output: string]> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(dir, name), text);
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", SCRIPT, ...args, ...Object.keys(files).map((name) => join(dir, name))],
      stderr: "null",
    }).output();
    const output = new TextDecoder().decode(stdout);
    return [output.trimEnd().split("\n").at(-1)!, code, output];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const outcomeOf = async (...args: Parameters<typeof runScript>) => (await runScript(...args)).slice(0, 2);

Deno.test("test.ts succeeds and counts tests, not steps, when all pass", async () => {
  assert.deepEqual(await outcomeOf({ "pass_test.ts": PASSING }), ["1 passed, 0 failed", 0]);
});

Deno.test("test.ts fails when a test fails", async () => {
  const failing = 'Deno.test("b", () => { throw new Error("no"); });';
  const files = { "pass_test.ts": PASSING, "fail_test.ts": failing };
  assert.deepEqual(await outcomeOf(files), ["1 passed, 1 failed", 1]);
});

Deno.test("test.ts fails when a file throws outside its tests", async () => {
  const files = { "pass_test.ts": PASSING, "throw_test.ts": 'throw new Error("top");' };
  assert.deepEqual(await outcomeOf(files), ["1 passed, 1 failed", 1]);
});

Deno.test("test.ts fails when a file ends the run by itself", async () => {
  const files = { "pass_test.ts": PASSING, "exit_test.ts": "Deno.exit(0);" };
  assert.deepEqual(await outcomeOf(files), ["1 passed, 1 failed", 1]);
});

Deno.test("test.ts fails when a file does not type check", async () => {
  const files = { "pass_test.ts": PASSING, "type_test.ts": "export const a: number = 'b';" };
  assert.deepEqual(await outcomeOf(files, []), ["0 passed, 1 failed", 1]);
});

Deno.test("test.ts fails and ends its line when the run is killed", async () => {
  const killed = 'Deno.test("a", () => Deno.kill(Deno.pid, "SIGKILL"));';
  assert.deepEqual(await outcomeOf({ "kill_test.ts": killed }), ["0 passed, 1 failed", 1]);
});

Deno.test("test.ts fails when nothing ran", async () => {
  assert.deepEqual(await outcomeOf({ "none_test.ts": "export {};" }), ["0 passed, 1 failed", 1]);
});

Deno.test("test.ts fails when every test is ignored", async () => {
  const files = { "ignored_test.ts": 'Deno.test.ignore("i", () => {});' };
  assert.deepEqual(await outcomeOf(files), ["0 passed, 1 failed, 1 skipped", 1]);
});

Deno.test("test.ts runs a file that failed once more, and names it when it passes then", async () => {
  const files = {
    "unsteady_test.ts": `Deno.test("a", () => {
      const before = [...Deno.readDirSync(import.meta.dirname!)].length;
      Deno.writeTextFileSync(import.meta.dirname + "/mark", "");
      if (before === 1) throw new Error("first time");
    });`,
  };
  const [last, code, output] = await runScript(files);
  assert.deepEqual([last, code], ["1 passed, 0 failed", 0]);
  assert.match(output, /Unsteady, passed when run once more: .*unsteady_test\.ts/);
});

Deno.test("test.ts ends a file that stands still and goes on with the others", async () => {
  const stuck = `Deno.test("stuck", async () => {
    console.log("a test has been running for over (4m0s)");
    await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  });`;
  const [last, code, output] = await runScript({ "pass_test.ts": PASSING, "stuck_test.ts": stuck });
  assert.deepEqual([last, code], ["1 passed, 1 failed", 1]);
  assert.match(output, /stuck_test\.ts was ended: one of its tests stands still/);
});

Deno.test("test.ts passes its arguments on to deno test", async () => {
  const files = { "two_test.ts": `${PASSING}\nDeno.test("other", () => {});` };
  assert.deepEqual(await outcomeOf(files, ["--no-check", "--filter=other"]), ["1 passed, 0 failed", 0]);
});

Deno.test("countTests() believes the last summary when a test prints one", () => {
  const output = [
    "ok | 9 passed | 0 failed (1ms)",
    "FAILED | 2 passed (3 steps) | 1 failed (1 step) | 4 ignored (9s)",
  ].join("\n");
  assert.deepEqual(countTests(output, false), { passed: 2, failed: 1, skipped: 4 });
});

Deno.test("closingLine() names skipped tests only when there are some", () => {
  assert.equal(closingLine({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
  assert.equal(closingLine({ passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped");
});

Deno.test("isStuck() knows what Deno says of a test that stands still for four minutes", () => {
  const said = (time: string) => `a test ...'a test' has been running for over (${time})`;
  assert.deepEqual(["1m0s", "2m0s", "4m0s", "16m0s"].map((time) => isStuck(said(time))), [
    false,
    false,
    true,
    true,
  ]);
});
