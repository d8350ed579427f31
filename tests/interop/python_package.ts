import { join } from "node:path";

/** A Python in which a package is installed, or why there is none. */
export type PythonPackage = { readonly python: string } | { readonly missing: string };

/** The existing network's Python SDK; its MCP server needs the first line of the library. */
const SDK = { folder: "agentanycast-0.7.3", packages: ["agentanycast==0.7.3", "mcp<2"] };
/** Has packages installed that are not there yet, which takes half a minute. */
const INSTALL = "AGENTANYCAST_TEST_PYTHON";
const INSTALL_TIMEOUT_MS = 300_000;

/**
 * Finds the Python of a virtual environment with these packages in the user's cache. It is made when the environment variable
 * `AGENTANYCAST_TEST_PYTHON` is 1, and kept.
 */
export async function findPythonPackage(name: string, packages: readonly string[]): Promise<PythonPackage> {
  const cache = Deno.env.get("XDG_CACHE_HOME") || join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  const folder = join(cache, "agentanycast-tests", name);
  const python = join(folder, "bin", "python");
  const done = join(folder, "complete");
  if (await exists(done)) return { python };
  if (Deno.env.get(INSTALL) !== "1") {
    return { missing: `${packages.join(" ")} from PyPI is not in ${folder}; set ${INSTALL}=1 to install it` };
  }
  for (
    const command of [["python3", "-m", "venv", folder], [python, "-m", "pip", "install", "-q", ...packages]]
  ) {
    const failure = await failureOf(command);
    if (failure !== undefined) return { missing: `${packages.join(" ")} cannot be installed: ${failure}` };
  }
  await Deno.writeTextFile(done, "");
  return { python };
}

/** Finds the existing network's Python SDK. */
export async function findPythonSdk(): Promise<PythonPackage> {
  return await findPythonPackage(SDK.folder, SDK.packages);
}

async function failureOf([file = "", ...args]: readonly string[]): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(INSTALL_TIMEOUT_MS);
    const { success, stderr } = await new Deno.Command(file, {
      args,
      signal,
      stdout: "null",
      stderr: "piped",
    }).output();
    return success ? undefined : new TextDecoder().decode(stderr).slice(-300);
  } catch (error) {
    return String(error);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
