import { join } from "node:path";
import { buildNpmPackage, packNpmPackage } from "../../scripts/npm.ts";
import { runProgram } from "./program.ts";
import { findSystemNode } from "./system_node.ts";

/** Types of the oldest Node.js that the package runs on. */
const NODE_TYPES = "@types/node@20";

/** A folder in which the SDK's package was installed from its tarball, as a user has it. */
export interface NpmInstall extends AsyncDisposable {
  readonly folder: string;
  /** The tarball that it was installed from. */
  readonly tarball: string;
  /** Writes `source` as the program `name`; answers its path. */
  program(name: string, source: string): Promise<string>;
}

/** Packs the SDK and installs it in an empty folder, with npm alone. */
export async function installFromTarball(): Promise<NpmInstall> {
  const root = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
  const folder = join(root, "user");
  await Deno.mkdir(folder);
  await buildNpmPackage(join(root, "npm"));
  const tarball = await packNpmPackage(join(root, "npm"), root);
  const manifest = { name: "user", private: true, type: "module" };
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify(manifest));
  const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--prefer-offline"];
  const { code, stderr } = await runProgram(["npm", ...args, "--engine-strict", tarball, NODE_TYPES]);
  if (code !== 0) throw new Error(`npm cannot install ${tarball}: ${stderr}`);
  return {
    folder,
    tarball,
    program: async (name, source) => {
      const path = join(folder, name);
      await Deno.writeTextFile(path, source);
      return path;
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

/** What runs programs on the package. */
export interface JsRuntime {
  readonly name: "Node.js" | "Bun";
  readonly command: string;
  /** Why this machine cannot run it. */
  readonly missing?: string;
}

/** Node.js, and Bun: the one that `AGENTANYCAST_TEST_BUN` names or the `PATH` has; it is never downloaded. */
export async function findRuntimes(): Promise<JsRuntime[]> {
  const node = await findSystemNode(20);
  const bun = Deno.env.get("AGENTANYCAST_TEST_BUN") ?? "bun";
  const hasBun = await runProgram([bun, "--version"]).then(({ code }) => code === 0, () => false);
  const missing = "there is no bun on the PATH or in AGENTANYCAST_TEST_BUN";
  return [
    { name: "Node.js", command: "node", ...node },
    { name: "Bun", command: bun, ...(!hasBun && { missing }) },
  ];
}
