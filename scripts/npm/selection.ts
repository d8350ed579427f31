import { CodedError } from "../../core/errors.ts";
import type { SourceModule } from "./module_graph.ts";

/** Rooms whose code runs on Node.js. */
const NODE_ROOMS = ["core", "gen", "identity", "rpc", "sdk"];

/** What a package for Node.js is made of; paths from the root of the checkout. */
export interface Selection {
  /** By name of the export: its file. */
  readonly exports: ReadonlyMap<string, string>;
  /** Names of exports that need what runs on Deno only. */
  readonly left: readonly string[];
  /** Files that are part of the program, in order. */
  readonly modules: readonly SourceModule[];
  /** Files that such a file loads when it comes to it, and that run on Deno only. */
  readonly stubs: readonly string[];
}

/**
 * Takes what the exports import, except for what runs on Deno only. Throws CodedError `failed_precondition` when the main export
 * cannot be in the package.
 */
export function selectForNode(
  exports: Readonly<Record<string, string>>,
  graph: ReadonlyMap<string, SourceModule>,
): Selection {
  const denoOnly = findDenoOnly(graph);
  const entries = Object.entries(exports).map(([name, file]) => [name, file.replace(/^\.\//, "")] as const);
  const kept = new Map(entries.filter(([, file]) => !denoOnly.has(file)));
  if (!kept.has(".")) {
    throw new CodedError(
      "failed_precondition",
      `Cannot make a package for Node.js: the export "." imports ${denoOnly.get(exports["."] ?? "")}`,
    );
  }
  const [taken, stubs] = [new Set(kept.values()), new Set<string>()];
  for (const path of taken) { // grows meanwhile
    for (const found of graph.get(path)?.imports ?? []) {
      if (found.path === undefined || found.typeOnly) continue;
      if (denoOnly.has(found.path)) stubs.add(found.path);
      else taken.add(found.path);
    }
  }
  return {
    exports: kept,
    left: entries.flatMap(([name]) => kept.has(name) ? [] : name),
    modules: [...taken].sort().flatMap((path) => graph.get(path) ?? []),
    stubs: [...stubs].sort(),
  };
}

/** The files that are not for Node.js, or always load one that is not; each with the one it is because of. */
function findDenoOnly(graph: ReadonlyMap<string, SourceModule>): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of graph.keys()) {
    if (path.endsWith(".ts") && !NODE_ROOMS.includes(path.split("/")[0] ?? "")) found.set(path, path);
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { path, imports } of graph.values()) {
      if (found.has(path)) continue;
      const why = imports.find((one) => !one.dynamic && !one.typeOnly && found.has(one.path ?? ""));
      if (why?.path !== undefined) found.set(path, why.path);
    }
  }
  return found;
}
