// Runs the blocks of some pages: deno run -A tests/docs/run_pages.ts [--show] docs/bridge.md …
// With `--show` it prints what came of each.
import { join, relative, resolve } from "node:path";
import { tempDir } from "../support/temp_dir.ts";
import { checkTypes } from "./module_types.ts";
import { readPages } from "./page.ts";
import { runPages } from "./world.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
const show = Deno.args.includes("--show")
  ? (where: string, lines: readonly string[]) => console.log(`== ${where}\n${lines.join("\n")}`)
  : undefined;
const wanted = Deno.args.filter((arg) => arg !== "--show").map((path) => relative(ROOT, resolve(path)));
const all = await readPages(ROOT);
const sessions = new Set(all.filter(({ path }) => wanted.includes(path)).map(({ session }) => session));
const pages = all.filter(({ session }) => wanted.length === 0 || sessions.has(session));
await using dir = await tempDir();
const startedMs = performance.now();
const { failures, ran, notRun } = await runPages(pages, show === undefined ? {} : { show });
for (const failure of [...await checkTypes(pages, dir.path), ...failures]) console.log(`${failure}\n`);
for (const { where, why } of notRun) console.log(`not run: ${where}: ${why}`);
console.log(
  `${ran} blocks run, ${failures.length} failed, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
);
Deno.exit(failures.length === 0 ? 0 : 1);
