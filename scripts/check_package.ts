/**
 * Checks the SDK as a package: `deno run -A scripts/check_package.ts`.
 *
 * Every export of `deno.json` is documented and shows no type of another package or of a file that is not exported
 * (`deno doc --lint`); the package can be published, without slow types (`deno publish --dry-run`); what would be
 * published is source of rooms that an export needs, and nothing else.
 */
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../deno.json" with { type: "json" };

const ROOT = join(import.meta.dirname ?? ".", "..");
/** Files of the package that are no source. */
const PAPERS = ["LICENSE", "README.md", "deno.json"];

/** The paths, from the root, of what `deno publish --dry-run` said it would publish. */
export function filesOfDryRun(output: string, root = ROOT): string[] {
  const urls = [...output.matchAll(/^\s+(file:\S+) \([\d.]+\s?\w*B\)$/gm)].map(([, url = ""]) => url);
  return urls.map((url) => fileURLToPath(url).slice(root.length + 1).replaceAll("\\", "/"));
}

/** What is too much or missing among the published files; `needed` are the files that exports import. */
export function packageFaults(published: readonly string[], needed: readonly string[]): string[] {
  const roomOf = (path: string) => path.split("/")[0] ?? "";
  const rooms = new Set(needed.map(roomOf));
  const faults: string[] = [];
  for (const paper of PAPERS) if (!published.includes(paper)) faults.push(`${paper} is missing`);
  for (const path of needed) if (!published.includes(path)) faults.push(`${path} is missing`);
  for (const path of published) {
    if (PAPERS.includes(path)) continue;
    if (!rooms.has(roomOf(path))) faults.push(`${path} is too much: no export imports ${roomOf(path)}/`);
    else if (extname(path) !== ".ts") faults.push(`${path} is too much: it is no source`);
  }
  return faults;
}

async function deno(...args: string[]): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out = "", err = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, stdout: out, stderr: err };
}

/** The files of this checkout that `entry` imports, now or later. Throws when one cannot be found. */
async function graphOf(entry: string): Promise<string[]> {
  const { success, stdout, stderr } = await deno("info", "--json", entry);
  if (!success) throw new Error(`Cannot read the imports of ${entry}: ${stderr}`);
  const { modules } = JSON.parse(stdout) as { modules: { specifier: string; error?: string }[] };
  const files = modules.filter(({ specifier }) => specifier.startsWith("file:"));
  const broken = files.find(({ error }) => error !== undefined);
  if (broken !== undefined) throw new Error(`${entry} cannot be loaded: ${broken.error}`);
  return files.map(({ specifier }) => fileURLToPath(specifier).slice(ROOT.length + 1).replaceAll("\\", "/"));
}

async function main(): Promise<number> {
  const entries = Object.values(manifest.exports);
  const [lint, dryRun, ...graphs] = await Promise.all([
    deno("doc", "--lint", ...entries),
    deno("publish", "--dry-run", "--allow-dirty", "--no-check"), // types are checked by `deno check`
    ...entries.map(graphOf),
  ]);
  const faults: string[] = [];
  if (!lint.success) faults.push(lint.stderr);
  if (!dryRun.success || /^warning/im.test(dryRun.stderr)) faults.push(dryRun.stdout + dryRun.stderr);
  else {
    const published = filesOfDryRun(dryRun.stdout + dryRun.stderr);
    faults.push(...packageFaults(published, [...new Set(graphs.flat())]));
  }
  for (const fault of faults) console.error(fault);
  return faults.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exitCode = await main();
