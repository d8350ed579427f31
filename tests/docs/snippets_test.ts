// What the pages show is what comes: every block is run, in a home of its own and on loopback.
import assert from "node:assert/strict";
import { join } from "node:path";
import { hasProgram } from "../deploy/has_program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { checkTypes } from "./module_types.ts";
import { readPages } from "./page.ts";
import { runPages } from "./world.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
/** What the commands of the pages use besides the program. */
const TOOLS = ["bash", "curl", "jq"];
const missing: string[] = [];
for (const tool of TOOLS) if (!await hasProgram(tool)) missing.push(tool);

Deno.test("the TypeScript in every page has the right types", async () => {
  await using dir = await tempDir();
  assert.deepEqual(await checkTypes(await readPages(ROOT), dir.path), []);
});

Deno.test({
  name: `every block of every page does what the page says${
    missing.length > 0 ? ` (no ${missing.join(", ")})` : ""
  }`,
  ignore: missing.length > 0,
  fn: async () => {
    const { failures, ran, notRun } = await runPages(await readPages(ROOT));
    console.log(`${ran} blocks run, ${notRun.length} not run:`);
    for (const { where, why } of notRun) console.log(`  ${where}: ${why}`);
    assert.equal(failures.join("\n\n"), "");
  },
});
