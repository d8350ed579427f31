import { join } from "node:path";
import { findNode } from "./node_runtime.ts";

/** The command of a program from npm under a recent Node, or why there is none. */
export type NpmProgram = { readonly command: readonly string[] } | { readonly missing: string };

const INSTALL_TIMEOUT_MS = 180_000;

/** Finds `file` of the package; gets it from npm once and keeps it in the user's cache. */
export async function findNpmProgram(name: string, version: string, file: string): Promise<NpmProgram> {
  const node = await findNode();
  if ("missing" in node) return node;
  const cache = Deno.env.get("XDG_CACHE_HOME") || join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  const slug = name.replace(/^@/, "").replaceAll("/", "-");
  const folder = join(cache, "agentanycast-tests", `${slug}-${version}`);
  const program = join(folder, "node_modules", name, file);
  if (!await exists(program)) {
    const failure = await install(folder, { spec: `${name}@${version}`, node: node.path });
    if (!await exists(program)) return { missing: `npm cannot install ${name}: ${failure}` };
  }
  return { command: [node.path, program] };
}

async function install(folder: string, { spec, node }: { spec: string; node: string }): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  try {
    const { stderr } = await new Deno.Command("npm", {
      args: ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, spec],
      env: { PATH: `${join(node, "..")}:${Deno.env.get("PATH") ?? ""}` },
      signal: AbortSignal.timeout(INSTALL_TIMEOUT_MS),
    }).output();
    return new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
