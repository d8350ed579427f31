import assert from "node:assert/strict";
import { join } from "node:path";
import { changedPaths, readTree, writePaths } from "../../scripts/gen.ts";

Deno.test("changedPaths() lists what is missing, left over and different, sorted", () => {
  const wanted = new Map([["same", "1"], ["new", "1"], ["edited", "1"]]);
  const actual = new Map([["same", "1"], ["stale", "1"], ["edited", "2"]]);
  assert.deepEqual(changedPaths(wanted, actual), ["edited", "new", "stale"]);
  assert.deepEqual(changedPaths(wanted, wanted), []);
});

Deno.test("writePaths() makes a folder equal to the wanted tree", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "stale.ts"), "old");
    await Deno.writeTextFile(join(dir, "kept.ts"), "same");
    const wanted = new Map([["a/b/new.ts", "text"], ["kept.ts", "same"]]);
    await writePaths(dir, wanted, changedPaths(wanted, await readTree(dir)));
    assert.deepEqual(await readTree(dir), wanted);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("readTree() is empty when the folder is missing", async () => {
  assert.equal((await readTree(join(import.meta.dirname!, "no_such_folder"))).size, 0);
});
