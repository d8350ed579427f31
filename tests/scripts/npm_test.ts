// What npm.ts refuses; tests/e2e/npm_package_test.ts has what it makes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { buildNpmPackage } from "../../scripts/npm.ts";
import { tempDir } from "../support/temp_dir.ts";

Deno.test("buildNpmPackage() leaves a folder alone that is no package of its own", async () => {
  await using folder = await tempDir();
  const path = join(folder.path, "notes.txt");
  await Deno.writeTextFile(path, "mine");
  await assert.rejects(buildNpmPackage(folder.path), {
    code: "failed_precondition",
    message: /something else/,
  });
  assert.equal(await Deno.readTextFile(path), "mine");
});
