import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CodedError } from "../../core/errors.ts";

/** A source file and what it imports. */
export interface SourceModule {
  /** From the root of the checkout, with `/`. */
  readonly path: string;
  readonly imports: readonly SourceImport[];
}

/** One import, as it is written and as it is meant. */
export interface SourceImport {
  readonly specifier: string;
  /** The file, when it is one of this checkout. */
  readonly path?: string;
  /** The package, when it is one of npm. */
  readonly package?: { readonly name: string; readonly version: string };
  /** Whether it is loaded only when the program comes to it. */
  readonly dynamic: boolean;
  /** Whether nothing of it is left when types are taken away. */
  readonly typeOnly: boolean;
}

interface Resolved {
  readonly specifier?: string;
  readonly error?: string;
}

interface DenoModule {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly {
    readonly specifier: string;
    readonly code?: Resolved;
    readonly type?: Resolved;
    readonly isDynamic?: boolean;
  }[];
}

/** The files that `entry` (from `root`) imports, itself included, by path. Throws CodedError `failed_precondition` when one is broken. */
export async function readModuleGraph(root: string, entry: string): Promise<Map<string, SourceModule>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(root, entry)],
    cwd: root,
    stdin: "null",
  }).output();
  if (!success) throw broken(entry, new TextDecoder().decode(stderr).trim());
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: readonly DenoModule[] };
  const graph = new Map<string, SourceModule>();
  for (const { specifier, error, dependencies = [] } of modules) {
    if (error !== undefined) throw broken(entry, error);
    const path = pathOf(root, specifier);
    if (path === undefined) continue;
    const imports = dependencies.map(({ specifier, code, type, isDynamic = false }): SourceImport => {
      const found = code ?? type;
      if (found?.specifier === undefined) throw broken(path, `${specifier}: ${found?.error ?? "not found"}`);
      const [file, npm] = [pathOf(root, found.specifier), packageOf(found.specifier)];
      return {
        specifier,
        dynamic: isDynamic,
        typeOnly: code === undefined,
        ...(file !== undefined && { path: file }),
        ...(npm !== undefined && { package: npm }),
      };
    });
    graph.set(path, { path, imports });
  }
  return graph;
}

function pathOf(root: string, url: string): string | undefined {
  if (!url.startsWith("file:")) return undefined;
  return fileURLToPath(url).slice(root.length + 1).replaceAll("\\", "/");
}

/** Name and version of `npm:/@scope/name@1.2.3/sub`. */
function packageOf(url: string): { name: string; version: string } | undefined {
  const [, name, version] = /^npm:\/?((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(url) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}

function broken(path: string, reason: string): CodedError {
  return new CodedError("failed_precondition", `Cannot read what ${path} imports: ${reason}`);
}
