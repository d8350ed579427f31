import { join } from "node:path";
import ts from "typescript";

/** Where the system's Node.js is, or why there is none. */
export type SystemNode = { readonly path: string } | { readonly missing: string };

/** Finds `node` on the PATH, of major version `minMajor` or later. */
export async function findSystemNode(minMajor: number): Promise<SystemNode> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"] }).output();
    // Without a node on the PATH, Deno takes its own place and says so.
    const version = new TextDecoder().decode(stdout).split("\n")[0] ?? "";
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    return major >= minMajor
      ? { path: "node" }
      : { missing: `node is ${version || "broken"}, ${minMajor} or later is needed` };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { missing: "there is no node on the PATH" };
  }
}

/** Bundles a program with all it imports into one file in `folder` that Node.js runs; answers its path. */
export async function bundleForNode(entry: string, folder: string): Promise<string> {
  const bundle = join(folder, "program.mjs");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    // Embedded nodes need Deno: the daemon stays outside of what Node.js runs.
    args: [
      "bundle",
      "--quiet",
      "--platform",
      "deno",
      "--external",
      "./embedded.ts",
      "--output",
      bundle,
      entry,
    ],
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  // Node.js 20 does not know `using`.
  const { outputText } = ts.transpileModule(await Deno.readTextFile(bundle), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true },
  });
  await Deno.writeTextFile(bundle, outputText);
  return bundle;
}
