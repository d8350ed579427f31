/**
 * Makes the SDK's package for Node.js and Bun: `deno task npm [--out DIR]`.
 *
 * DIR (default `dist`) gets `npm/`, the package, and beside it the tarball that `npm pack` makes of it. Each source
 * file becomes one JavaScript module with its source map, each file that a public type comes from one `.d.ts`.
 * Exports, dependencies and their versions are those of the sources and of `deno.json`; what runs on Deno only is
 * left out. The same sources make the same bytes.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../deno.json" with { type: "json" };
import { CodedError, errorMessage } from "../core/errors.ts";
import { declarePublic } from "./npm/declarations.ts";
import { emitModule } from "./npm/emit.ts";
import { readModuleGraph, type SourceModule } from "./npm/module_graph.ts";
import { selectForNode, type Selection } from "./npm/selection.ts";
import { ownHelp } from "./own_help.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");
const REPOSITORY = "https://github.com/agentanycast/agentanycast";
/** Sources that read `deno.json`, which is not in the package, and what stands there in place of them. */
const REPLACED: Readonly<Record<string, string>> = {
  "core/version.ts": `/** The version of this build. */\nexport const VERSION: string = ${
    JSON.stringify(manifest.version)
  };\n`,
};

/** What was made. */
export interface NpmPackage {
  /** The folder of the package. */
  readonly folder: string;
  /** Names of exports that are not in it, since they run on Deno only. */
  readonly left: readonly string[];
}

/**
 * Writes the package into `folder`, in place of an earlier one. Throws CodedError `failed_precondition` for a folder of something
 * else, and for sources that cannot be translated.
 */
export async function buildNpmPackage(folder: string): Promise<NpmPackage> {
  await refuseForeign(folder);
  const entries = Object.values(manifest.exports);
  const graphs = await Promise.all(entries.map((entry) => readModuleGraph(ROOT, entry)));
  const graph = new Map(graphs.flatMap((one) => [...one]));
  for (const path of Object.keys(REPLACED)) graph.set(path, { path, imports: [] });
  const selection = selectForNode(manifest.exports, graph);
  const files = new Map<string, string>();
  for (const { path } of selection.modules) {
    if (!path.endsWith(".ts")) {
      throw new CodedError("failed_precondition", `Cannot put ${path} into a package for Node.js`);
    }
    addModule(files, path, await readSource(path));
  }
  for (const path of selection.stubs) {
    const reason = JSON.stringify(`${path} runs on Deno only: use the package from jsr.io there`);
    files.set(path.replace(/\.ts$/, ".js"), `throw new Error(${reason});\n`);
  }
  const declarations = await declarePublic([...selection.exports.values()], readSource);
  for (const [path, text] of declarations) files.set(path.replace(/\.ts$/, ".d.ts"), text);
  const used = [...new Set([...selection.modules.map(({ path }) => path), ...declarations.keys()])];
  const dependencies = dependenciesOf(used.flatMap((path) => graph.get(path) ?? []));
  files.set("package.json", `${JSON.stringify(packageJson(selection, dependencies), null, 2)}\n`);
  files.set("README.md", await readSource("sdk/README.md"));
  files.set("LICENSE", await readSource("LICENSE"));
  await writeFolder(folder, files);
  return { folder, left: selection.left };
}

async function readSource(path: string): Promise<string> {
  return REPLACED[path] ?? await Deno.readTextFile(join(ROOT, path));
}

function addModule(files: Map<string, string>, path: string, source: string): void {
  const { code, map } = emitModule(path, source);
  const js = path.replace(/\.ts$/, ".js");
  const isGenerated = path.startsWith("gen/"); // nobody steps through it
  files.set(js, isGenerated ? code.replace(/^\/\/# sourceMappingURL=.*\n?/m, "") : code);
  if (!isGenerated) files.set(`${js}.map`, map);
}

/** Name and version of the packages that `modules` import: what comes after a version, up to the next major one, will do as well. */
function dependenciesOf(modules: readonly SourceModule[]): Record<string, string> {
  const packages = modules.flatMap(({ imports }) => imports.flatMap((one) => one.package ?? []));
  const versions = packages.map(({ name, version }): [string, string] => [name, `^${version}`]);
  return Object.fromEntries(versions.sort(([one], [other]) => one < other ? -1 : 1));
}

function packageJson(selection: Selection, dependencies: Record<string, string>): Record<string, unknown> {
  const exports = [...selection.exports].map(([name, file]) => {
    const base = `./${file.replace(/\.ts$/, "")}`;
    return [name, { types: `${base}.d.ts`, default: `${base}.js` }];
  });
  return {
    name: manifest.name,
    version: manifest.version,
    description: "Give any AI agent an address that works from anywhere: A2A tasks, peer to peer",
    keywords: ["a2a", "agent", "agents", "ai", "libp2p", "mcp", "p2p"],
    license: manifest.license,
    repository: { type: "git", url: `git+${REPOSITORY}.git` },
    type: "module",
    engines: { node: ">=20.11" },
    exports: { ...Object.fromEntries(exports), "./package.json": "./package.json" },
    sideEffects: false,
    dependencies,
  };
}

/** What is removed has to be a package that was made here. */
async function refuseForeign(folder: string): Promise<void> {
  const isThere = await Deno.stat(folder).then(() => true, () => false);
  if (!isThere) return;
  const text = await Deno.readTextFile(join(folder, "package.json")).catch(() => "{}"); // then it is none
  if ((JSON.parse(text) as { name?: unknown }).name === manifest.name) return;
  throw new CodedError(
    "failed_precondition",
    `Cannot put the package into ${folder}: it holds something else. Choose another --out, or remove it`,
  );
}

/** Replaces `folder` with `files`. */
async function writeFolder(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  for (const [path, text] of files) {
    const file = join(folder, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
}

/** Packs the package in `folder` into `out`; answers the path of the tarball. Throws CodedError `failed_precondition`. */
export async function packNpmPackage(folder: string, out: string): Promise<string> {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", out];
  const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
  try {
    const { success, stdout, stderr } = await new Deno.Command(npm, { args, cwd: folder }).output();
    const [text = "", errors = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    const [packed] = success ? Object.values(JSON.parse(text)) as { filename: string }[] : [];
    if (packed !== undefined) return join(out, packed.filename.replace("@", "").replace("/", "-"));
    throw new CodedError("failed_precondition", `Cannot pack ${folder}: ${errors.trim()}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CodedError("failed_precondition", `Cannot pack ${folder}: there is no npm on the PATH`);
  }
}

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: { out: { type: "string", default: "dist" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help) {
      console.log(ownHelp(import.meta.filename));
      return 0;
    }
    const out = resolve(values.out);
    const { folder, left } = await buildNpmPackage(join(out, "npm"));
    console.log(folder);
    for (const name of left) console.log(`Left out, since it runs on Deno only: ${name}`);
    console.log(await packNpmPackage(folder, out));
    return 0;
  } catch (error) {
    console.error(errorMessage(error));
    return error instanceof TypeError ? 2 : 1;
  }
}

if (import.meta.main) Deno.exitCode = await main();
