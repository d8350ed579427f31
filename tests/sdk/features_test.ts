import assert from "node:assert/strict";
import { join } from "node:path";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
/** The end of a row: a link to the file of a test, and its name. */
const ROW = /\]\(\.\.\/(tests\/[\w/]+\.ts)\): (.+?)\s*\|$/;

Deno.test("docs/sdk-features.md names a test for each row, and each of them is there", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs", "sdk-features.md"));
  const rows = page.split("\n").filter((line) => /^\| (?!what |-)/.test(line));
  assert.ok(rows.length > 50);
  const missing: string[] = [];
  for (const row of rows) {
    const [, file = "", name = ""] = row.match(ROW) ?? [];
    const source = await Deno.readTextFile(join(ROOT, file)).catch(() => "");
    const isThere = file !== "" && [`"${name}"`, `\`${name}\``].some((quoted) => source.includes(quoted));
    if (!isThere) missing.push(row);
  }
  assert.deepEqual(missing, []);
});
