/**
 * Lints `proto/` and regenerates `gen/` from it. With `--check` nothing is written: the exit code is 1 and the files are
 * listed when `gen/` is not what `proto/` says.
 *
 * @module
 */
import type { DescFile } from "@bufbuild/protobuf";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import manifest from "../deno.json" with { type: "json" };
import { generateCodecs } from "./gen_codecs.ts";

/** Files below a folder: their paths relative to it, with `/`, and their text. */
export type Tree = ReadonlyMap<string, string>;

/** Reads all files below `dir`; a missing folder is an empty tree. */
export async function readTree(dir: string): Promise<Tree> {
  const tree = new Map<string, string>();
  for (const path of await listFiles(dir)) {
    tree.set(relative(dir, path).replaceAll("\\", "/"), await Deno.readTextFile(path));
  }
  return tree;
}

async function listFiles(dir: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const entry of Deno.readDir(dir)) {
      const path = join(dir, entry.name);
      files.push(...entry.isDirectory ? await listFiles(path) : [path]);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

/** Paths that are missing, left over or different in `actual`, sorted. */
export function changedPaths(wanted: Tree, actual: Tree): string[] {
  const paths = new Set([...wanted.keys(), ...actual.keys()]);
  return [...paths].filter((path) => wanted.get(path) !== actual.get(path)).sort();
}

/** Makes the files at `paths` below `dir` what `wanted` says; those it does not have are removed. */
export async function writePaths(dir: string, wanted: Tree, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const file = join(dir, path);
    const text = wanted.get(path);
    if (text === undefined) {
      await Deno.remove(file);
    } else {
      await Deno.mkdir(join(file, ".."), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
  }
}

const ROOT = join(import.meta.dirname ?? ".", "..");

async function buf(...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", manifest.imports["@bufbuild/buf"], ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return success;
}

/** The descriptors in generated modules; only our own messages get codecs. */
async function readFiles(dir: string, paths: readonly string[]): Promise<DescFile[]> {
  const files: DescFile[] = [];
  for (const path of paths.filter((one) => one.startsWith("agentanycast/"))) {
    const module: Record<string, unknown> = await import(pathToFileURL(join(dir, path)).href);
    for (const [name, value] of Object.entries(module)) {
      if (name.startsWith("file_")) files.push(value as DescFile);
    }
  }
  return files;
}

async function main(check: boolean): Promise<number> {
  const out = await Deno.makeTempDir({ prefix: "agentanycast-gen-" });
  try {
    const plugin = ["run", "-A", "--quiet", manifest.imports["@bufbuild/protoc-gen-es"]];
    const template = {
      version: "v2",
      plugins: [{ local: [Deno.execPath(), ...plugin], out, opt: ["target=ts", "import_extension=ts"] }],
    };
    if (!await buf("lint")) return 1;
    if (!await buf("generate", "--template", JSON.stringify(template))) return 1;
    const wanted = new Map(await readTree(out));
    for (const [path, code] of generateCodecs(await readFiles(out, [...wanted.keys()]))) {
      wanted.set(path, code);
    }
    const changed = changedPaths(wanted, await readTree(join(ROOT, "gen")));
    if (!check) await writePaths(join(ROOT, "gen"), wanted, changed);
    for (const path of changed) console.log(`${check ? "differs" : "updated"}: gen/${path}`);
    if (changed.length === 0) console.log(`gen/ is up to date: ${wanted.size} files`);
    if (check && changed.length > 0) console.log("Run `deno task gen` and commit what it writes");
    return check && changed.length > 0 ? 1 : 0;
  } finally {
    await Deno.remove(out, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args.includes("--check")));
