import assert from "node:assert/strict";
import { join } from "node:path";
import { brokenLinks } from "../../scripts/links.ts";
import { tempDir } from "../support/temp_dir.ts";

Deno.test("brokenLinks() names file, line and reason of links that lead nowhere, and no others", async () => {
  await using dir = await tempDir();
  const page = [
    "# A title, `code` & more",
    "[itself](#a-title-code--more) [other](b.md#two) [twice](b.md#two-1) [web](https://example.com/x)",
    "[gone](c.md) [no heading](b.md#three) `[code](d.md)`",
    "```",
    "[code](e.md)",
    "```",
  ];
  await Deno.writeTextFile(join(dir.path, "a.md"), page.join("\n"));
  await Deno.writeTextFile(join(dir.path, "b.md"), "## Two\n## Two\n");
  assert.deepEqual(await brokenLinks(dir.path), [
    "a.md:3: c.md: there is no such file",
    "a.md:3: b.md#three: there is no such heading",
  ]);
});
