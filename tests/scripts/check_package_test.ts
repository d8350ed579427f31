// What check_package.ts takes from the tools, and what it finds wrong. `deno task ok` runs it over the package itself.
import assert from "node:assert/strict";
import { filesOfDryRun, packageFaults } from "../../scripts/check_package.ts";

Deno.test("filesOfDryRun() reads paths from what deno publish says", () => {
  const output = [
    "Check sdk/mod.ts",
    "Simulating publish of @agentanycast/sdk@0.1.0 with files:",
    "   file:///src/LICENSE (11.09KB)",
    "   file:///src/core/a%20b.ts (509B)",
    "   file:///src/gen/big.ts (1.2MB)",
    "Success Dry run complete",
  ].join("\n");
  assert.deepEqual(filesOfDryRun(output, "/src"), ["LICENSE", "core/a b.ts", "gen/big.ts"]);
});

Deno.test("packageFaults() finds missing files, files of rooms that no export needs, and files that are no source", () => {
  const papers = ["LICENSE", "README.md", "deno.json"];
  const needed = ["sdk/mod.ts", "core/errors.ts", "deno.json"];
  assert.deepEqual(packageFaults([...papers, "sdk/mod.ts", "core/errors.ts", "core/spare.ts"], needed), []);
  const faults = packageFaults(
    ["README.md", "deno.json", "sdk/mod.ts", "sdk/key.pem", "tests/a_test.ts"],
    needed,
  );
  assert.deepEqual(faults, [
    "LICENSE is missing",
    "core/errors.ts is missing",
    "sdk/key.pem is too much: it is no source",
    "tests/a_test.ts is too much: no export imports tests/",
  ]);
});
